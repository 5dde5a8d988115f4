# SPDX-License-Identifier: Apache-2.0
"""What went wrong with a review, said twice: in full to the reviewer, without a word of the panel to the submitter."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from evidence import (
    CountersignError,
    ManifestError,
    PanelError,
    RecommenderError,
    RepositoryError,
    SandboxMissingError,
    TooLargeError,
)
from service.views import ReviewError

if TYPE_CHECKING:
    from evidence import Json

_MIRROR = re.compile(r"(?:^| (?:in|at) )/[^\n]*?/mirrors/\S+?\.git\b")
_MAX_DETAIL = 16 << 10
_MAX_PUBLIC = 500

INTERNAL = "internal"  # the error class of what is our own fault

# RecommenderError's own message may hold what hostile code printed, panel data included. Only its class is public.
_RECOMMENDER = {
    "module-missing": "the manifest names a module that cannot be imported",
    "load-failed": "loading the recommender raised an error",
    "raised": "the recommender raised an error",
    "timeout": "the recommender did not answer in time",
    "memory": "the recommender asked for more memory than allowed",
    "processes": "the recommender started more processes than allowed",
    "output-limit": "the recommender wrote more output than allowed",
    "garbage": "the recommender printed something that is no answer",
    "protocol": "the recommender's answer does not follow the protocol",
    "exited": "the recommender ended before it had answered",
    "write-refused": "the recommender wrote where it may not",
}

# These speak of the submitter's own repository, so the submitter may read them.
_PUBLIC_ERRORS = (RepositoryError, ManifestError, TooLargeError)


def describe(error: BaseException) -> ReviewError:
    """The error as the revision shows it."""
    if isinstance(error, RecommenderError):
        public = _RECOMMENDER.get(error.error_class, "the recommender failed")
        return ReviewError(error.error_class, public, str(error)[:_MAX_DETAIL])
    if isinstance(error, _PUBLIC_ERRORS):
        return ReviewError(error.problem, _without_mirror(str(error))[:_MAX_PUBLIC], str(error)[:_MAX_DETAIL])
    if isinstance(error, PanelError):
        public = "the reviewer's panel cannot be used; the reviewer sees why"
        return ReviewError("panel", public, str(error)[:_MAX_DETAIL])
    if isinstance(error, SandboxMissingError):
        return ReviewError("sandbox-missing", "the reviewer's machine has no working sandbox", str(error)[:_MAX_DETAIL])
    if isinstance(error, CountersignError):
        public = "the review could not be done; the reviewer sees why"
        return ReviewError(error.problem, public, str(error)[:_MAX_DETAIL])
    detail = "".join(traceback.format_exception(error))[-_MAX_DETAIL:]
    return ReviewError(INTERNAL, "the review failed on the reviewer's side; the reviewer sees why", detail)


def _without_mirror(message: str) -> str:
    """The message without where on the reviewer's machine the mirror is."""
    return _MIRROR.sub("", message).removeprefix(": ")


def transient(error: BaseException) -> bool:
    """Whether the same step may succeed a moment later: a full disk, a busy database."""
    return isinstance(error, (OSError, OperationalError))


def to_json(error: ReviewError) -> Json:
    """An error as a step returns it."""
    return {"error_class": error.error_class, "public": error.public, "detail": error.detail}


def from_json(document: Json) -> ReviewError:
    """The other way round."""
    return ReviewError(document["error_class"], document["public"], document["detail"])
