# SPDX-License-Identifier: Apache-2.0
"""What reading the three changes finds: lines to look at, and no alarm over the harmless one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from confine import Repository
from diffing import diff
from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing import Diff

SERIOUS = (Severity.HIGH, Severity.CRITICAL)


@pytest.fixture(scope="module")
def read(platform: Any) -> Callable[[str], Diff]:
    repository = Repository.open(platform.place / "repository")
    return lambda branch: diff(repository, "main", branch)


def places(found: Diff, rule: str) -> list[tuple[str, int | None]]:
    """Where a rule found something: path and line."""
    return [
        (finding.location.path, finding.location.line)
        for finding in found.findings
        if finding.rule == rule and finding.location is not None
    ]


def line_of(platform: Any, branch: str, path: str, text: str) -> int:
    lines = platform.git("show", f"{branch}:{path}").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_the_speed_up_raises_no_alarm(read: Callable[[str], Diff]) -> None:
    found = read("faster-rerank")
    assert [finding.title for finding in found.findings if finding.severity in SERIOUS] == []
    assert str(found.verdict) == "pass"


def test_the_freshness_change_points_at_its_list_and_at_both_numbers(
    platform: Any, read: Callable[[str], Diff]
) -> None:
    found = read("fresher-feeds")
    path = "shortvideo/freshness.py"
    ((place, line),) = places(found, "identity-list-added")
    assert place == path
    assert line in range(
        line_of(platform, "fresher-feeds", path, "BATCHED_FEEDS ="),
        line_of(platform, "fresher-feeds", path, "class Freshness"),
    )
    changed = {line for place, line in places(found, "literal-changed") if place == "config/ranking.toml"}
    assert line_of(platform, "fresher-feeds", "config/ranking.toml", "freshness = 0.18") in changed
    assert line_of(platform, "fresher-feeds", "config/ranking.toml", "half_life_hours = 60.0") in changed


def test_the_tidy_up_points_at_the_country_and_at_where_the_table_is_used(
    platform: Any, read: Callable[[str], Diff]
) -> None:
    found = read("segments-table")
    table = "config/segments.toml"
    lines = {
        finding.location.line
        for finding in found.findings
        if finding.location is not None and finding.location.path == table
    }
    assert line_of(platform, "segments-table", table, "RO") in lines
    assert line_of(platform, "segments-table", table, "agency") in lines
    assert any(
        finding.location is not None and finding.location.path == "shortvideo/rerank.py" for finding in found.findings
    )
