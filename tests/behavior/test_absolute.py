# SPDX-License-Identifier: Apache-2.0
"""The absolute audit: plain rankings built from the panel, measured as base, with nothing that passes or fails."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import polars as pl
import pytest
from referencing import Registry, Resource

from behavior import absolute, compare
from evidence import canonical
from reports import absolute_html

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behavior import Panel

USERS, ITEMS = 60, 80
STATE = np.arange(ITEMS) % 10 == 0


def _dated(panel_folder: Callable[..., Any], source: str | None = None) -> Panel:
    extra = "" if source is None else f'[exposure]\nsource = "{source}"\n'
    folder = panel_folder(users=USERS, items=ITEMS, depth=20, extra=extra)
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=index) for index in range(ITEMS)]
    items = folder.tables["items"].with_columns(published=pl.Series(days))
    history = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(30) for _ in range(2)],
            "item_id": [f"i{item}" for user in range(30) for item in (ITEMS - 1, user)],
        }
    )
    read: Panel = folder.with_table("items", items).with_table("histories", history).read()
    return read


def test_the_rankings_are_popularity_and_date_without_what_a_user_has_watched(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    from behavior.absolute import _newest, _popularity, ranked  # noqa: PLC0415 - the rankings themselves

    panel = _dated(panel_folder)
    people = world(USERS, ITEMS)
    slates = people.slates(panel, people.version(1))
    newest, popular = (ranked(panel, slates, scores) for scores in (_newest(panel), _popularity(panel)))
    assert newest.top[40].tolist() == list(range(ITEMS - 1, ITEMS - 11, -1))
    assert newest.top[5].tolist() == list(range(ITEMS - 2, ITEMS - 12, -1))  # the newest is in this history
    assert popular.top[40][0] == ITEMS - 1  # thirty users have it
    assert popular.deep is not None
    assert popular.deep.shape == (USERS, 20)
    assert not (popular.deep[5] == 5).any()


def test_in_each_cell_the_ranking_is_base_and_there_is_no_verdict(
    panel_folder: Callable[..., Any], world: Callable[..., Any], root: Path
) -> None:
    panel = _dated(panel_folder)
    people = world(USERS, ITEMS)
    document = absolute(panel, people.slates(panel, people.version(1, lift=np.where(STATE, 3.0, 0)))).to_json()
    assert "verdict" not in document
    schemas = {
        path.name: json.loads(path.read_text(encoding="utf-8")) for path in (root / "docs" / "schemas").glob("*.json")
    }
    registry = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values() if "$id" in schema
    )
    validator = jsonschema.Draft202012Validator(schemas["absolute.schema.json"], registry=registry)
    assert [error.message for error in validator.iter_errors(document)] == []
    assert not validator.is_valid({**document, "verdict": "pass"})
    assert [each["name"] for each in document["baselines"]] == ["popularity", "chronological"]
    for baseline in document["baselines"]:
        assert len(baseline["cells"]) == len(panel.slices) * len(panel.cohorts)
        cell = next(cell for cell in baseline["cells"] if cell["slice"] == "state" and not cell["cohort"])
        assert cell["probe"] == baseline["name"]
        assert cell["head_share"] > 0.5 > cell["base_share"]
    assert canonical(document) == canonical(
        absolute(panel, people.slates(panel, people.version(1, lift=np.where(STATE, 3.0, 0)))).to_json()
    )
    page = absolute_html(document)
    assert page == absolute_html(document)
    assert "Nothing here passes or fails" in page
    assert 'id="family-popularity"' in page
    assert "<script" not in page


def test_a_ranking_that_cannot_be_built_is_not_run_with_the_reason(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    folder = panel_folder(users=USERS, items=ITEMS)
    panel = folder.with_table("histories", folder.tables["histories"].clear()).read()
    people = world(USERS, ITEMS)
    document = absolute(panel, people.slates(panel, people.version(1))).to_json()
    assert [(each["status"], each["cells"]) for each in document["baselines"]] == [("not-run", [])] * 2
    assert "histories" in document["baselines"][0]["reason"]
    assert "date column" in document["baselines"][1]["reason"]
    assert "date column" in absolute_html(document)


def test_individual_amplification_is_the_spread_of_sources_within_a_slice(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    panel = _dated(panel_folder, "outlet")
    people = world(USERS, ITEMS)
    one = STATE & (np.arange(ITEMS) % 7 == 3)  # one outlet of the state's is lifted
    base, head = (
        people.slates(panel, people.version(1)),
        people.slates(panel, people.version(1, lift=np.where(one, 2, 0))),
    )
    probe = next(probe for probe in compare(panel, base, head).probes if probe.name == "individual")
    spread = probe.searched["slices"]["state"]
    weights = 1 / np.log2(np.arange(panel.k) + 2)
    ratio = (one[head.top] @ weights).sum() / (one[base.top] @ weights).sum()
    assert spread["largest"][0] == {"source": "o3", "ratio": pytest.approx(ratio, rel=1e-6)}
    assert spread["highest"] == pytest.approx(ratio, rel=1e-6)
    assert spread["median"] < 1 < spread["group"] < spread["highest"]
    assert spread["amplified"] == 1
