# SPDX-License-Identifier: Apache-2.0
"""The life of a revision: one table. Who may move it, and from where to where."""

from __future__ import annotations

from enum import StrEnum

from evidence import ConflictError

ARTIFACTS_COMPARED = "artifacts compared"  # in a revision's timeline; no state of its own


class State(StrEnum):
    """Where a revision is on its way."""

    HELD = "held"
    RECEIVED = "received"
    DIFFED = "diffed"
    AUDITED = "audited"
    OUTSIDE = "outside"
    READY = "ready"
    SIGNED = "signed"
    REJECTED = "rejected"
    REVOKED = "revoked"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    FAILED = "failed"


# A later sign-off supersedes an earlier one, so ready, signed, rejected and revoked lead to each other; signed means
# that the policy lets the revision through, expired that it did until its sign-offs ran out. What is superseded stays
# so: votes hang on the revision they were given to.
# A change from a fork begins held, until a reviewer lets it through; one whose code host is asked may become held.
# What touches nothing that is under review (the paths of a repository) ends outside.
MOVES: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.RECEIVED, State.SUPERSEDED}),
    State.RECEIVED: frozenset({State.DIFFED, State.HELD, State.OUTSIDE, State.FAILED, State.SUPERSEDED}),
    State.DIFFED: frozenset({State.AUDITED, State.FAILED, State.SUPERSEDED}),
    State.AUDITED: frozenset({State.READY, State.FAILED, State.SUPERSEDED}),
    State.READY: frozenset({State.SIGNED, State.REJECTED, State.REVOKED, State.SUPERSEDED}),
    State.SIGNED: frozenset({State.READY, State.REJECTED, State.REVOKED, State.EXPIRED, State.SUPERSEDED}),
    State.REJECTED: frozenset({State.READY, State.SIGNED, State.REVOKED, State.SUPERSEDED}),
    State.REVOKED: frozenset({State.READY, State.SIGNED, State.REJECTED, State.SUPERSEDED}),
    State.EXPIRED: frozenset({State.READY, State.SIGNED, State.REJECTED, State.REVOKED, State.SUPERSEDED}),
    State.OUTSIDE: frozenset({State.SUPERSEDED}),
    State.FAILED: frozenset({State.SUPERSEDED}),
    State.SUPERSEDED: frozenset(),
}

SIGNABLE = frozenset({State.READY, State.SIGNED, State.REJECTED, State.REVOKED, State.EXPIRED})
FINAL = SIGNABLE | {State.SUPERSEDED, State.FAILED, State.OUTSIDE}


def move(current: State, to: State) -> State:
    """``to``, if the table allows the move.

    Raises:
        ConflictError: it does not.
    """
    if to not in MOVES[current]:
        raise ConflictError(f"a revision that is {current} cannot become {to}: reload the page")
    return to


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.RECEIVED}", f"    [*] --> {State.HELD}"]
    lines += [f"    {start} --> {end}" for start, ends in MOVES.items() for end in sorted(ends)]
    return "\n".join(lines) + "\n"
