# SPDX-License-Identifier: Apache-2.0
"""What a few users' change brings together is no independent movement of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from behavior import Slates, _by_user, compare
from behavior._by_user import UserShifts, user_shifts
from behavior.churn import churn
from behavior.exposure import measure
from evidence import CellVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Panel

    from .conftest import World

ONE_SLICE = '[[slices]]\nname = "state"\nwhere = "state"\n[[slices]]\neach = "side"\n'
MOVED = {CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED, CellVerdict.SHIFTED}


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    made: Panel = panel_folder(users=400, items=300, permutations=500, slices=ONE_SLICE).read()
    return made


def _left(people: World, panel: Panel, readers: int) -> tuple[Slates, Slates]:
    """Head is base, but for some readers who lost everything of one outlet in six, as by leaving a subreddit."""
    scores = people.version(1)
    after = scores.copy()
    state = np.arange(people.items) % 10 == 0
    after[:readers] -= 50.0 * state
    return people.slates(panel, scores), people.slates(panel, after)


def test_a_block_that_three_readers_lose_is_no_shift_of_its_items(panel: Panel, world: Callable[..., World]) -> None:
    base, head = _left(world(400, 300), panel, 3)
    measured = measure(panel, base, head)
    shifts = user_shifts(panel, base, head, measured.sums.items)
    assert churn(panel, measured, "exposure").adjusted_p.min() <= 0.05  # by items alone it would be one
    assert churn(panel, measured, "exposure", by_user=shifts).adjusted_p.min() > 0.2
    assert not {cell.verdict for cell in compare(panel, base, head).cells if cell.family == "primary"} & MOVED


def test_the_same_for_a_hundred_readers_is_one(panel: Panel, world: Callable[..., World]) -> None:
    base, head = _left(world(400, 300), panel, 100)
    audit = compare(panel, base, head)
    cell = next(cell for cell in audit.cells if cell.slice == "state" and not cell.cohort)
    assert cell.verdict in MOVED
    assert cell.direction < 0


def test_where_all_readers_get_another_build_next_to_nothing_is_added(
    panel: Panel, world: Callable[..., World]
) -> None:
    people = world(400, 300)
    base, head = (people.slates(panel, people.version(seed, lift=lift)) for seed, lift in ((1, 0.0), (2, _lift())))
    measured = measure(panel, base, head)
    alone = churn(panel, measured, "exposure").z[0, 0]
    both = churn(panel, measured, "exposure", by_user=user_shifts(panel, base, head, measured.sums.items)).z[0, 0]
    assert np.abs(alone).max() > 3
    assert (np.abs(both) <= np.abs(alone) + 1e-9).all()
    assert np.abs(both).max() > 0.85 * np.abs(alone).max()


def _lift() -> Any:
    return 0.5 * (np.arange(300) % 10 == 0)


def test_the_excess_is_the_variance_over_users_less_what_single_items_make() -> None:
    """Against the definition, written out."""
    generator = np.random.default_rng(4)
    users, items, total = 30, 25, 50
    moved = generator.integers(-3, 4, (users, items)) * (generator.random((users, items)) < 0.4)
    moved[:, :5] = generator.integers(-3, 4, users)[:, None]  # a block that users move as one
    labels = (generator.random((items, 3)) < 0.3).astype(float)
    labels[:5, 0] = 1.0
    codes = generator.integers(0, 2, items)
    weights = generator.random((2, items))
    members = sparse.csr_array(np.array([np.ones(users), np.arange(users) % 2]))
    shifts = UserShifts({"top": sparse.csr_array(moved)}, members, np.array([total, total // 2]))
    centred = labels - np.array([labels[codes == code].mean(axis=0) for code in (0, 1)])[codes]
    expected = np.zeros((3, 2))
    for cohort, (who, count) in enumerate(((slice(None), total), (slice(1, None, 2), total // 2))):
        weighted = moved[who] * weights[cohort]
        each = weighted @ centred
        unmoved = count - len(each)
        over_users = np.concatenate([each, np.zeros((unmoved, 3))]).var(axis=0, ddof=1) * count
        expected[:, cohort] = np.maximum(over_users - (weighted**2).sum(axis=0) @ centred**2, 0.0)
    found = shifts.excess("top", sparse.csr_array(labels), weights, codes)
    assert found == pytest.approx(expected)
    assert found[0].min() > 0  # the block


def test_requests_of_one_user_are_one_user(panel: Panel, world: Callable[..., World]) -> None:
    base, head = _left(world(400, 300), panel, 3)

    def twice(side: Slates) -> Slates:
        contexts = tuple(name for _ in side.user for name in ("evening", "morning"))
        deep = None if side.deep is None else side.deep.repeat(2, axis=0)
        return Slates(side.user.repeat(2), contexts, side.top.repeat(2, axis=0), deep)

    items = measure(panel, base, head).sums.items
    once, again = user_shifts(panel, base, head, items), user_shifts(panel, twice(base), twice(head), items)
    assert once
    assert again
    assert (once.users == again.users).all()
    assert once.moved["top"].shape == again.moved["top"].shape == (3, len(items))
    for name, shifts in once.moved.items():
        assert abs(shifts - again.moved[name]).max() <= 1 if name != "seen" else not (shifts != again.moved[name]).nnz


def test_nobody_changed_or_too_many_to_matter_needs_no_look(
    panel: Panel, world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, head = _left(world(400, 300), panel, 3)
    items = measure(panel, base, head).sums.items
    assert user_shifts(panel, base, base, items) is None
    monkeypatch.setattr(_by_user, "MOST_USERS", 2)
    assert user_shifts(panel, base, head, items) is None
