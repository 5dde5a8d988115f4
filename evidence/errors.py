# SPDX-License-Identifier: Apache-2.0
"""The one error tree.

Every class has an HTTP ``status``, a CLI ``exit_code`` and a ``problem`` type (the last path segment of an
RFC 9457 type). A message is one line for the user: what, where, what to do. How it is shown (problem+json, page,
stderr) is the service's business.
"""

from __future__ import annotations

from typing import ClassVar


class CountersignError(Exception):
    """Base of everything that is told to a user on purpose. ``str(error)`` is one line, safe for the reviewer."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 2
    problem: ClassVar[str] = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class InputError(CountersignError):
    """What was handed in cannot be used: a file, a parameter, a document."""

    status = 422
    problem = "bad-input"


class PanelError(InputError):
    """A panel directory is not a valid panel."""

    problem = "bad-panel"


class SlatesError(InputError):
    """Slates do not fit the panel or each other."""

    problem = "bad-slates"


class ManifestError(InputError):
    """The ``countersign.toml`` of the repository under review cannot be used."""

    problem = "bad-manifest"


class RepositoryError(InputError):
    """A repository, ref or tree cannot be read safely."""

    problem = "bad-repository"


class PolicyError(InputError):
    """A policy or roots file cannot be used; nothing is admitted under it."""

    problem = "bad-policy"


class TooLargeError(InputError):
    """Input over its size limit."""

    status = 413
    problem = "too-large"


class VerificationError(CountersignError):
    """A signature, proof or gate step does not hold. ``step`` names it."""

    status = 422
    exit_code = 1
    problem = "verification-failed"

    def __init__(self, step: str, message: str) -> None:
        self.step = step
        super().__init__(f"{step}: {message}")


class RecommenderError(CountersignError):
    """The recommender under review failed. ``error_class`` alone may be shown to a submitter.

    ``str(error)`` may hold what hostile code printed, panel data included: it is for the reviewer only.
    """

    status = 422
    exit_code = 1
    problem = "recommender-failed"

    def __init__(self, error_class: str, message: str) -> None:
        self.error_class = error_class
        super().__init__(f"{error_class}: {message}")


class SandboxMissingError(CountersignError):
    """No working sandbox, or another needed service is absent: nothing hostile is run."""

    status = 503
    exit_code = 4
    problem = "sandbox-missing"


class AuthenticationError(CountersignError):
    """Nobody we know is asking."""

    status = 401
    problem = "unauthenticated"


class PermissionDeniedError(CountersignError):
    """Somebody we know asks for what is not theirs to see or do."""

    status = 403
    problem = "forbidden"


class NotFoundError(CountersignError):
    """No such thing, or none that the caller may know of."""

    status = 404
    problem = "not-found"


class ConflictError(CountersignError):
    """The thing has moved on since the caller looked."""

    status = 409
    problem = "conflict"


class TooManyError(CountersignError):
    """Asked for more often than is allowed; later it is taken."""

    status = 429
    problem = "too-many"
