# SPDX-License-Identifier: Apache-2.0
"""The policy file: what must hold before a revision may go out. It is the reviewer's, never the change's.

Every statement names it by the digest of its bytes; a gate that is given other bytes refuses.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from evidence import InputError, PolicyError, Severity, Verdict, canonical, sha256_hex
from signoff._strict import Line, Sha256, StrictModel, first_problem
from signoff.rules import Expedited, Lane, WrittenRequirement, check_rules
from signoff.statement import PolicyReference

if TYPE_CHECKING:
    from pathlib import Path

POLICY_LIMIT = 1 << 20  # bytes of the file

DEFAULT_POLICY = """\
# SPDX-License-Identifier: Apache-2.0
# What must hold before a revision may go out. Statements name this file by its digest: after an edit, sign again.
schema_version = 1

[approvals]
people = 1                      # distinct people, each with a key of their own
organizations = 1               # distinct organisations among them
roles = ["reviewer"]            # an approval counts only from somebody with one of these roles
with_conditions = true          # whether APPROVED_WITH_CONDITIONS counts as an approval

[findings]
answer_severity = "high"        # every finding at or above it needs an answer

[evidence]
required = ["diff", "audit"]    # a review without one of these is not complete
admit_verdicts = ["pass"]       # any other listed here needs an override with its reason in each approval

[signing]
synced_passkeys = false         # whether a passkey that may have copies in a cloud counts

[votes]
carry_over = false              # whether votes count for a later revision with the same trees and artifacts

[time]
max_age_days = 90               # how long after it was signed a statement counts, whatever it says itself

[log]
checkpoint_hours = 168          # how old the log's newest checkpoint in a bundle may be
revocations_hours = 168         # how old the revocation list may be

[break_glass]                   # an emergency: what goes out without a review
people = 2                      # distinct people with the role "break-glass"
organizations = 2               # distinct organisations among them, two at least
hours = 24                      # how long after it was signed it counts
"""

FIXED_REQUIREMENTS = frozenset(
    {
        "policy",
        "approvals",
        "no-rejection",
        "keys",
        "independence",
        "declarations",
        "evidence",
        "safe-evidence",
        "verdict",
        "findings-answered",
        "lane",
        "expedited",
    }
)

_Verdicts = Annotated[tuple[Verdict, ...], Field(min_length=1)]
_Lines = Annotated[tuple[Line, ...], Field(min_length=1)]


class Approvals(StrictModel):
    """How many must approve, and who counts."""

    people: Annotated[int, Field(ge=1, le=100)]
    organizations: Annotated[int, Field(ge=1, le=100)]
    roles: _Lines
    with_conditions: bool


class Findings(StrictModel):
    """Which findings need an answer."""

    answer_severity: Severity


class EvidenceRules(StrictModel):
    """Which evidence there must be, and which verdicts may go out."""

    required: _Lines
    admit_verdicts: _Verdicts


class TimeRules(StrictModel):
    """How long a statement counts."""

    max_age_days: Annotated[int, Field(ge=1, le=3660)]


class SigningRules(StrictModel):
    """Which keys count."""

    synced_passkeys: bool


class VoteRules(StrictModel):
    """Whether votes on a revision count for a later one of which nothing differs but its commits."""

    carry_over: bool


class IndependenceRules(StrictModel):
    """Whether each approval needs a structured declaration of independence that holds."""

    declarations: bool


class LogRules(StrictModel):
    """How old what the log says may be."""

    checkpoint_hours: Annotated[int, Field(ge=1, le=8784)]
    revocations_hours: Annotated[int, Field(ge=1, le=8784)]


class BreakGlassRules(StrictModel):
    """How many must agree in an emergency, and for how long that counts."""

    people: Annotated[int, Field(ge=2, le=100)]
    organizations: Annotated[int, Field(ge=2, le=100)]
    hours: Annotated[int, Field(ge=1, le=168)]


class PolicyDocument(StrictModel):
    """The policy file as written, schema version 1.

    Every key is needed: what is left out is not a choice. Tables that may be left out are `signing`, without which no
    synced passkey counts, `votes`, without which none is carried over, `break_glass`, without which there is no way
    past the review, and those that only ask for more: `independence`, `lanes`, `requirements` and `expedited`.
    """

    schema_version: Annotated[int, Field(ge=1, le=1)]
    approvals: Approvals
    findings: Findings
    evidence: EvidenceRules
    time: TimeRules
    log: LogRules
    break_glass: BreakGlassRules | None = None
    signing: SigningRules = SigningRules(synced_passkeys=False)
    votes: VoteRules = VoteRules(carry_over=False)
    independence: IndependenceRules = IndependenceRules(declarations=False)
    lanes: tuple[Lane, ...] = ()
    requirements: tuple[WrittenRequirement, ...] = ()
    expedited: Expedited | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as read. ``digest`` is the file's, hexadecimal SHA-256 over its bytes."""

    rules: PolicyDocument
    digest: str

    def reference(self, uri: str) -> PolicyReference:
        """How a statement names this policy; ``uri`` says where it can be read."""
        return PolicyReference(uri=uri, digest=Sha256(sha256=self.digest))

    @property
    def max_age(self) -> timedelta:
        """How long after it was signed a statement counts."""
        return timedelta(days=self.rules.time.max_age_days)


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: it cannot be read, or is not a policy.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"{path}: the policy cannot be read: {error.strerror}") from error
    return parse_policy(data, str(path))


def parse_policy(data: bytes, what: str = "policy") -> Policy:
    """Read the content of a policy file.

    Raises:
        PolicyError: empty, not TOML, a key missing, unknown or of another type, another schema version, or a rule that
            nobody could meet.
    """
    if len(data) > POLICY_LIMIT:
        raise PolicyError(f"{what}: {len(data)} bytes, over the limit of {POLICY_LIMIT}")
    try:
        document = tomllib.loads(data.decode("utf-8"))
        rules = PolicyDocument.model_validate_json(canonical(document))
    except UnicodeDecodeError as error:
        raise PolicyError(f"{what}: not UTF-8 at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"{what}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise PolicyError(f"{what}: {first_problem(error)}") from error
    except InputError as error:
        raise PolicyError(f"{what}: {error}") from error
    if rules.approvals.organizations > rules.approvals.people:
        raise PolicyError(f"{what}: approvals.organizations is above approvals.people; nothing could meet it")
    check_rules(rules.requirements, rules.lanes, rules.expedited, FIXED_REQUIREMENTS, what)
    emergency = rules.break_glass
    if emergency is not None and emergency.organizations > emergency.people:
        raise PolicyError(f"{what}: break_glass.organizations is above break_glass.people; nothing could meet it")
    return Policy(rules, sha256_hex(data))
