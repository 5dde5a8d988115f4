# SPDX-License-Identifier: Apache-2.0
"""The life of a revision: what the table allows happens, what it does not is refused, every state is reached."""

from __future__ import annotations

import pytest

from evidence import ConflictError
from service.life import FINAL, MOVES, SIGNABLE, State, diagram, move

BEGINNINGS = {State.RECEIVED, State.HELD}


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("end", State)
def test_a_move_is_one_of_the_table_or_refused(start: State, end: State) -> None:
    if end in MOVES[start]:
        assert move(start, end) is end
    else:
        with pytest.raises(ConflictError, match=f"a revision that is {start} cannot become {end}"):
            move(start, end)


def test_every_state_is_in_the_table_and_can_be_come_to() -> None:
    assert set(MOVES) == set(State)
    reached, waiting = set(BEGINNINGS), list(BEGINNINGS)
    while waiting:
        new = MOVES[waiting.pop()] - reached
        reached |= new
        waiting += new
    assert reached == set(State)


def test_nothing_leaves_what_is_superseded_and_all_else_can_come_there() -> None:
    assert MOVES[State.SUPERSEDED] == frozenset()
    assert {start for start in State if State.SUPERSEDED not in MOVES[start]} == {State.SUPERSEDED}


def test_only_a_reviewed_revision_is_signed_and_no_state_comes_back_under_review() -> None:
    under_review = {State.RECEIVED, State.HELD, State.DIFFED, State.AUDITED}
    assert {start for start in State if State.SIGNED in MOVES[start]} == SIGNABLE - {State.SIGNED}
    assert not [start for start in FINAL if MOVES[start] & under_review]
    assert FINAL | under_review == set(State)


def test_the_diagram_has_each_move_once() -> None:
    moves = [line.split() for line in diagram().splitlines()[1:]]
    assert {(start, end) for start, _, end in moves if start != "[*]"} == {
        (start, end) for start, ends in MOVES.items() for end in ends
    }
    assert {end for start, _, end in moves if start == "[*]"} == BEGINNINGS
    assert len(moves) == len({tuple(one) for one in moves})
