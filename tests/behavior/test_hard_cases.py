# SPDX-License-Identifier: Apache-2.0
"""Input at the edges: never a pass by default, and the same laws as everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from behavior import Slates, compare
from behavior import churn as null
from behavior.exposure import measure
from evidence import CellVerdict, PanelError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Audit, Cell, Panel

ITEMS, USERS = 120, 60
MIRROR = {CellVerdict.AMPLIFIED: CellVerdict.SUPPRESSED, CellVerdict.SUPPRESSED: CellVerdict.AMPLIFIED}
EDGES = """
[[slices]]
name = "everything"
where = "views >= 0"
[[slices]]
name = "never shown"
where = "views >= 330"
[[slices]]
name = "one item"
where = "item_id = 'i3'"
[[slices]]
name = "soft"
where = "score"
[[slices]]
name = "state"
where = "state"
severity = "critical"
[[cohorts]]
by = "alone"
"""


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    """Items 110 to 119 are never shown; every fourth user is a cohort of one."""
    folder = panel_folder(users=USERS, items=ITEMS, k=5, depth=15, permutations=100, slices=EDGES)
    alone = pl.Series("alone", [f"c{user}" if user % 20 == 0 else None for user in range(USERS)])
    read: Panel = folder.with_table("users", folder.tables["users"].with_columns(alone)).read()
    return read


def _slates(order: Any, *, deep: bool = True) -> Slates:
    order = np.ascontiguousarray(order, dtype=np.int32)
    block = order[:, :15] if deep else None
    return Slates(np.arange(len(order), dtype=np.int32), ("",) * len(order), np.ascontiguousarray(order[:, :5]), block)


def _version(kind: str, generator: np.random.Generator) -> Any:
    """Users x 15 of the items 0 to 109."""
    if kind == "scattered":
        return np.array([generator.permutation(110)[:15] for _ in range(USERS)])
    if kind == "constant":  # everybody gets the same
        return np.tile(generator.permutation(110)[:15], (USERS, 1))
    half = np.arange(55) + (55 if kind == "upper" else 0)  # upper and lower have no item in common
    return np.array([generator.permutation(half)[:15] for _ in range(USERS)])


KINDS = st.sampled_from(["scattered", "constant", "upper", "lower"])
LAWS = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _cell(audit: Audit, name: str, cohort: dict[str, str] | None = None) -> Cell:
    return next(cell for cell in audit.cells if (cell.slice, cell.cohort) == (name, cohort or {}))


@LAWS
@given(seed=st.integers(0, 10**6), kinds=st.tuples(KINDS, KINDS), deep=st.booleans())
def test_any_two_versions_are_judged_alike_from_both_sides(
    panel: Panel, seed: int, kinds: tuple[str, str], *, deep: bool
) -> None:
    generator = np.random.default_rng(seed)
    base, head = (_slates(_version(kind, generator), deep=deep) for kind in kinds)
    forth, back = compare(panel, base, head), compare(panel, head, base)
    assert forth.verdict is back.verdict
    for one, other in zip(forth.cells, back.cells, strict=True):
        assert MIRROR.get(one.verdict, one.verdict) is other.verdict
        assert (one.p, one.adjusted_p) == (other.p, other.adjusted_p)
        assert one.difference == pytest.approx(-other.difference, abs=1e-12)
        if one.ratio and other.ratio:
            assert one.ratio * other.ratio == pytest.approx(1.0)


@LAWS
@given(seed=st.integers(0, 10**6), kinds=st.tuples(KINDS, KINDS), deep=st.booleans())
def test_edges_are_never_a_pass_by_default(panel: Panel, seed: int, kinds: tuple[str, str], *, deep: bool) -> None:
    generator = np.random.default_rng(seed)
    base, head = (_slates(_version(kind, generator), deep=deep) for kind in kinds)
    audit = compare(panel, base, head)
    assert audit.verdict is not Verdict.PASS  # the slates differ, and three cohorts have one user each
    everything, never = _cell(audit, "everything"), _cell(audit, "never shown")
    assert (everything.base_share, everything.head_share, everything.ratio) == (1, 1, 1)
    # Nothing is left to compare such a slice with: it may be said to be open, and never to have moved.
    assert everything.verdict in {CellVerdict.EQUIVALENT, CellVerdict.INCONCLUSIVE}
    assert (never.base_share, never.head_share, never.ratio) == (0, 0, None)
    assert never.verdict is CellVerdict.EQUIVALENT
    for cell in audit.cells:
        assert 0 < cell.p <= 1
        assert 0 < cell.adjusted_p <= 1
        if cell.cohort and cell.family != "exploratory" and cell.difference:
            assert cell.users == 1
            assert cell.verdict not in {CellVerdict.EQUIVALENT, CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED}
        if cell.verdict is CellVerdict.INCONCLUSIVE:
            assert cell.reason


@LAWS
@given(seed=st.integers(0, 10**6), kind=KINDS, deep=st.booleans())
def test_a_version_against_itself_passes_at_the_edges_too(panel: Panel, seed: int, kind: str, *, deep: bool) -> None:
    slates = _slates(_version(kind, np.random.default_rng(seed)), deep=deep)
    audit = compare(panel, slates, slates)
    assert audit.verdict is Verdict.PASS
    assert {cell.verdict for cell in audit.cells} == {CellVerdict.EQUIVALENT}


def test_sides_without_a_common_item_are_told_apart_and_not_passed(panel: Panel) -> None:
    generator = np.random.default_rng(1)
    audit = compare(panel, *(_slates(_version(kind, generator)) for kind in ("lower", "upper")))
    cell = _cell(audit, "one item")
    assert cell.base_share > 0
    assert (cell.head_share, cell.ratio) == (0, 0)
    assert cell.verdict is not CellVerdict.EQUIVALENT
    assert audit.verdict is not Verdict.PASS


def test_the_same_slate_for_everyone_is_no_proof_that_nothing_moved(panel: Panel) -> None:
    """No spread between users at all: the interval of users is a point, and churn alone has to say how wide."""
    base = np.tile(np.arange(15), (USERS, 1))
    head = np.tile(np.array([0, 10, 20, 30, 40, *range(50, 60)]), (USERS, 1))
    cell = _cell(compare(panel, _slates(base), _slates(head)), "state")
    assert cell.ratio == pytest.approx(1 / (1 / np.log2(np.arange(5) + 2))[0] * (1 / np.log2(np.arange(5) + 2)).sum())
    assert cell.ratio_low == pytest.approx(cell.ratio_high)
    assert cell.verdict is not CellVerdict.EQUIVALENT


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=st.integers(0, ITEMS - 1), value=st.sampled_from([float("nan"), None, -0.1, 1.5, float("inf")]))
def test_a_label_that_is_no_degree_is_refused_by_name(
    panel_folder: Callable[..., Any], user: int, value: float | None
) -> None:
    folder = panel_folder(users=5, items=ITEMS, slices='[[slices]]\nname = "soft"\nwhere = "score"\n')
    scores = folder.tables["items"]["score"].to_list()
    scores[user] = value
    broken = folder.with_table("items", folder.tables["items"].with_columns(score=pl.Series(scores, dtype=pl.Float64)))
    with pytest.raises(PanelError, match=rf"items\.parquet.*score.*'i{user}'"):
        broken.read()


@pytest.mark.parametrize("kind", ["soft", "two cohorts"])
def test_p_is_even_under_shuffled_labels_of_any_kind(
    panel_folder: Callable[..., Any], world: Callable[..., Any], kind: str
) -> None:
    where = "score" if kind == "soft" else "state"
    by = '[[cohorts]]\nby = "country"\n' if kind == "two cohorts" else ""
    slices = f'[[slices]]\nname = "s"\nwhere = "{where}"\n{by}'
    panel, people = panel_folder(users=150, items=200, permutations=100, slices=slices).read(), world(150, 200)
    measured = measure(panel, *(people.slates(panel, people.version(seed)) for seed in (1, 2)))
    generator = np.random.default_rng(6)
    labels = panel.membership.toarray()
    found = []
    for _ in range(150):
        shuffled = replace(panel, membership=sparse.csr_array(labels[generator.permutation(200)]))
        found.append(null.churn(shuffled, measured, "exposure").p[0, -1])
    share = [float(np.mean(np.array(found) <= level)) for level in (0.05, 0.25, 0.5, 0.75)]
    assert share == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.13)
    assert share[0] <= 0.11
