# SPDX-License-Identifier: Apache-2.0
"""The verdicts on the three changes, for several generator seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from behavior import compare, make_slates, read_panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Audit, Panel, Slates

OTHER_SEEDS = (2, 11, 42)
RIGHT = {"faster-rerank": "pass", "fresher-feeds": "fail", "segments-table": "fail"}
TARGET = {"country": "RO", "age_band": "under 60 days"}


def recorded(platform: Any, panel: Panel, ref: str) -> Slates:
    slates = platform.slates(ref).tolist()
    return make_slates(panel, [(user, "", slate) for user, slate in zip(panel.users["user_id"], slates, strict=True)])


def audited(platform: Any, refs: list[str]) -> dict[str, Audit]:
    panel = read_panel(platform.place / "panel")
    base = recorded(platform, panel, "main")
    return {ref: compare(panel, base, recorded(platform, panel, ref)) for ref in refs}


def beyond_margin(audit: Audit) -> list[tuple[str, dict[str, str]]]:
    """Slice and cohort of every primary cell that is amplified or suppressed."""
    verdicts = ("amplified", "suppressed")
    return [
        (cell.slice, dict(cell.cohort)) for cell in audit.cells if cell.family == "primary" and cell.verdict in verdicts
    ]


def hold(audits: dict[str, Audit]) -> None:
    """What must be true of the three changes whatever the seed."""
    assert {ref: str(audit.verdict) for ref, audit in audits.items() if ref in RIGHT} == RIGHT
    assert ("state-media", {}) in beyond_margin(audits["fresher-feeds"])
    lifted = beyond_margin(audits["segments-table"])
    assert ("state-media", TARGET) in lifted
    assert all(cohort.get("country") == "RO" for _, cohort in lifted)
    for ref in ("fresher-feeds", "segments-table"):
        (cell,) = [
            cell
            for cell in audits[ref].cells
            if cell.family == "primary"
            and (cell.slice, cell.cohort) == ("state-media", TARGET if ref == "segments-table" else {})
        ]
        assert cell.ratio_low is not None
        assert cell.ratio_low > cell.margin


def test_the_demo_has_the_right_verdicts(platform: Any) -> None:
    audits = audited(platform, [*RIGHT, "fresher-feeds~1", "segments-table~1"])
    hold(audits)
    assert str(audits["segments-table~1"].verdict) == "pass"
    # Freshness moves many cells; none of them beyond what the age of clips explains.
    assert str(audits["fresher-feeds~1"].verdict) != "fail"
    assert beyond_margin(audits["fresher-feeds~1"]) == []


@pytest.mark.parametrize("seed", OTHER_SEEDS)
def test_other_platforms_have_the_same_verdicts(other_platforms: Callable[[int], Any], seed: int) -> None:
    hold(audited(other_platforms(seed), [*RIGHT]))
