# SPDX-License-Identifier: Apache-2.0
"""Discovery and targeting: what is planted is found and described, what only trades places is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import Slates, compare
from behavior._exploratory import holm
from behavior.audits import audit_verdict
from behavior.comparison import SLATE_PROBES
from evidence import CellVerdict, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Cell, Panel

USERS, ITEMS = 600, 1000
NUMBER = np.arange(ITEMS)
SIDE, OUTLET = NUMBER % 3, NUMBER % 7
FRENCH = np.arange(USERS) % 2 == 1


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    read: Panel = panel_folder(users=USERS, items=ITEMS).read()
    return read


@pytest.fixture
def people(world: Callable[..., Any]) -> Any:
    return world(USERS, ITEMS)


def _cells(name: str, panel: Panel, base: Slates, head: Slates, primary: tuple[Cell, ...] = ()) -> tuple[Cell, ...]:
    return SLATE_PROBES[name](panel, base, head, primary).cells


def _share(slates: Slates, inside: Any, users: Any = slice(None)) -> float:
    weights = 1 / np.log2(np.arange(slates.top.shape[1]) + 2)
    return float((inside[slates.top[users]] @ (weights / weights.sum())).mean())


@pytest.mark.parametrize("retrained", [False, True])
def test_a_two_way_slice_with_two_percent_of_exposure_and_a_lift_of_half_more_is_found_and_confirmed(
    panel: Panel, people: Any, *, retrained: bool
) -> None:
    planted = (SIDE == 1) & (OUTLET == 3)
    away = np.where(planted, 0.6, 0.0)  # so that it has about 2 % of exposure
    base = people.slates(panel, people.version(1, 0.1, away))
    seed = 2 if retrained else 1
    before = people.slates(panel, people.version(seed, 0.1, away))
    head = people.slates(panel, people.version(seed, 0.1, away + np.where(planted, 0.27, 0.0)))
    assert 0.015 < _share(base, planted) < 0.03
    assert 1.3 < _share(head, planted) / _share(before, planted) < 1.7
    cells = _cells("discovery", panel, base, head)
    found = next(cell for cell in cells if "o3" in cell.slice)
    assert (found.slice, found.cohort) == ("outlet=o3 & side=right", {})
    assert (found.family, found.probe, found.direction) == ("exploratory", "discovery", 1)
    assert found.ratio == pytest.approx(_share(head, planted) / _share(base, planted), rel=1e-6)
    assert found.verdict is CellVerdict.AMPLIFIED


def test_a_confirmed_cell_forbids_a_pass_and_its_finding_is_high(panel: Panel, people: Any) -> None:
    planted = (SIDE == 1) & (OUTLET == 3)
    base = people.slates(panel, people.version(1))
    head = people.slates(panel, people.version(1, lift=np.where(planted, 0.4, 0.0)))
    quiet = replace(
        panel, slices=panel.slices[:1], membership=panel.membership[:, [0]]
    )  # state alone, which did not move
    audit = compare(quiet, base, head)
    assert not any(
        cell.verdict in {CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED}
        for cell in audit.cells
        if cell.family == "primary"
    )
    assert audit.verdict is Verdict.INCONCLUSIVE
    searched = [cell for cell in audit.cells if cell.family == "exploratory" and cell.verdict is CellVerdict.AMPLIFIED]
    assert searched
    settled = tuple(cell for cell in audit.cells if cell.family == "primary" and cell.inside)
    assert settled
    assert audit_verdict(settled, audit.probes, []) is Verdict.PASS
    assert audit_verdict((*settled, *searched), audit.probes, []) is Verdict.INCONCLUSIVE
    finding = next(finding for finding in audit.findings if finding.evidence["probe"] == "discovery")
    assert finding.severity is Severity.HIGH
    assert audit.public()["slices"] == []


def test_what_the_declared_slices_show_already_is_not_discovered_again(panel: Panel, people: Any) -> None:
    state = NUMBER % 10 == 0
    base = people.slates(panel, people.version(1))
    head = people.slates(panel, people.version(1, lift=np.where(state, 0.5, 0.0)))
    audit = compare(panel, base, head)
    assert any(cell.verdict is CellVerdict.AMPLIFIED and cell.slice == "state" for cell in audit.cells)
    again = [cell for cell in audit.cells if cell.probe == "discovery" and cell.direction > 0]
    assert not again
    assert _cells("discovery", panel, base, head)  # which it would be, were it not known


def test_reseeds_are_confirmed_no_more_often_than_alpha_says(panel: Panel, people: Any) -> None:
    confirmed = {"discovery": 0, "targeting": 0}
    for pair in range(20):
        base, head = (people.slates(panel, people.version(2 * pair + side, churn=0.5)) for side in (0, 1))
        for name in confirmed:
            cells = _cells(name, panel, base, head)
            confirmed[name] += bool(cells)
            assert not any(cell.verdict in {CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED} for cell in cells)
    assert max(confirmed.values()) <= 4  # 1 expected; 5 or more have a chance of 0.3 %


def test_how_much_was_searched_and_carried_over_is_said(panel: Panel, people: Any) -> None:
    base, head = (people.slates(panel, people.version(seed)) for seed in (1, 2))
    probe = SLATE_PROBES["discovery"](panel, base, head, ()).result
    assert probe.searched["hypotheses"] > 500
    assert f"{probe.searched['hypotheses']:,} hypotheses" in probe.summary
    carried = probe.searched["carried"]
    assert 0 < len(carried) <= 10
    assert [each["adjusted_p"] for each in carried] == holm([each["p"] for each in carried])
    same = SLATE_PROBES["discovery"](panel, base, base, ()).result
    assert same.run
    assert same.searched["hypotheses"] == 0


def test_holm_multiplies_by_what_is_left_and_never_goes_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_a_lift_for_one_country_is_targeting_and_the_same_lift_for_all_is_not(panel: Panel, people: Any) -> None:
    state = NUMBER % 10 == 0
    base = people.slates(panel, people.version(1))
    one = people.slates(panel, people.version(2, lift=np.where(state & FRENCH[:, None], 0.6, 0.0)))
    cells = _cells("targeting", panel, base, one)
    lifted = next(cell for cell in cells if cell.slice == "state" and cell.direction > 0)
    assert (lifted.cohort, lifted.family) == ({"country": "FR"}, "exploratory")
    assert lifted.verdict is CellVerdict.AMPLIFIED
    everyone = people.slates(panel, people.version(2, lift=np.where(state, 0.6, 0.0)))
    assert not [cell for cell in _cells("targeting", panel, base, everyone) if cell.slice == "state"]


def test_targeting_needs_groups_and_slices(panel: Panel, panel_folder: Callable[..., Any], people: Any) -> None:
    slates = people.slates(panel, people.version(1))
    bare = replace(panel, slices=(), membership=panel.membership[:, []])
    assert "slices" in str(SLATE_PROBES["targeting"](bare, slates, slates, ()).result.reason)
    folder = panel_folder(users=USERS, items=ITEMS, name="alike")
    alike = folder.with_table("users", folder.tables["users"].select("user_id", country=pl.lit("DE"))).read()
    result = SLATE_PROBES["targeting"](alike, slates, slates, ()).result
    assert not result.run
    assert "30" in str(result.reason)


@pytest.mark.parametrize("name", ["discovery", "targeting"])
def test_names_and_order_of_items_and_users_change_no_cell(
    panel_folder: Callable[..., Any], panel: Panel, people: Any, name: str
) -> None:
    lift = np.where(((SIDE == 1) & (OUTLET == 3)) | ((NUMBER % 10 == 0) & FRENCH[:, None]), 0.5, 0.0)
    base, head = people.slates(panel, people.version(1)), people.slates(panel, people.version(2, lift=lift))
    generator = np.random.default_rng(5)
    users, items = generator.permutation(USERS), generator.permutation(ITEMS)
    folder = panel_folder(users=USERS, items=ITEMS, name="turned")
    tables = {
        "users": folder.tables["users"][users].with_columns(user_id="n" + pl.col("user_id")),
        "items": folder.tables["items"][items].with_columns(item_id="n" + pl.col("item_id")),
        "histories": folder.tables["histories"].select(
            user_id="n" + pl.col("user_id"), item_id="n" + pl.col("item_id")
        ),
    }
    turned = replace(folder, tables=tables).read()
    place = np.argsort(items).astype(np.int32)

    def other(side: Slates) -> Slates:
        assert side.deep is not None
        return Slates(side.user, side.context, place[side.top[users]], place[side.deep[users]])

    first, second = _cells(name, panel, base, head), _cells(name, turned, other(base), other(head))
    assert first
    assert [cell.to_json() for cell in first] == [cell.to_json() for cell in second]


@pytest.mark.parametrize("name", ["discovery", "targeting"])
def test_base_and_head_can_change_places(panel: Panel, people: Any, name: str) -> None:
    lift = np.where(((SIDE == 1) & (OUTLET == 3)) | ((NUMBER % 10 == 0) & FRENCH[:, None]), 0.5, 0.0)
    base, head = people.slates(panel, people.version(1)), people.slates(panel, people.version(2, lift=lift))
    there, back = _cells(name, panel, base, head), _cells(name, panel, head, base)
    assert there
    told = [(cell.slice, cell.cohort, cell.adjusted_p, cell.direction) for cell in there]
    assert told == [(cell.slice, cell.cohort, cell.adjusted_p, -cell.direction) for cell in back]
