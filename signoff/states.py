# SPDX-License-Identifier: Apache-2.0
"""The states of a requirement."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of a requirement, as in Gerrit's submit requirements."""

    NOT_APPLICABLE = "not applicable"
    UNSATISFIED = "unsatisfied"
    SATISFIED = "satisfied"
    OVERRIDDEN = "overridden"
    BYPASSED = "bypassed"
    ERROR = "error"

    @property
    def met(self) -> bool:
        """Whether a revision may go out as far as this is concerned. A bypass is not: nothing here grants one."""
        return self in {State.NOT_APPLICABLE, State.SATISFIED, State.OVERRIDDEN}


class Requirement(NamedTuple):
    """A requirement, its state, and why."""

    name: str
    state: State
    reason: str
