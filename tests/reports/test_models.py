# SPDX-License-Identifier: Apache-2.0
"""What moved inside models, to look at: plots with their words and numbers, rows by name, and nothing hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from evidence import Finding, Location, Severity
from reports import model_html, model_view, model_views, report_document, report_html
from reports.model_plots import neighbours_plot, number, shifts_plot, spectrum_plot
from reports.words import DASH

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "<script>\u202eevil"


def near(*rows: int) -> list[dict[str, Any]]:
    """Neighbours, nearest first."""
    return [{"row": row, "cosine": 0.99 - at / 10, "id": f"item {row}"} for at, row in enumerate(rows)]


def tensor(name: str = "items", **changes: Any) -> dict[str, Any]:
    """A table of 100 rows of which 40 moved, one of them far."""
    return {
        "name": name, "status": "changed", "old_shape": [100, 8], "new_shape": [100, 8], "old_dtype": "F32",
        "new_dtype": "F32", "relative_l2": 0.1, "cosine": 0.98, "max_abs": 3.0, "changed_share": 0.4,
        "outlier_rows": [{"row": 7, "score": 812.5, "shift": 90.0, "old_norm": 1.0, "new_norm": 9.0, "id": "item 7"}],
        "digest": {"old": "a" * 64, "new": "b" * 64},
        "row_shifts": {
            "rows": 100, "rows_changed": 40, "median_shift": 0.5, "deviation": 0.1, "log_deviation": None,
            "histogram": {"edges": [0.1, 1.0, 10.0, 100.0], "counts": [30, 9, 1]},
        },
        "spectrum": {
            "rows": 100, "values": [0.9, 0.4, 0.1], "top_share": 0.81, "rank_99": 3, "rank_999": None, "full_rank": 8,
            "columns": [{"column": 5, "share": 0.3}],
        },
        "neighbours": [{"row": 7, "id": "item 7", "jaccard": 1 / 3, "before": near(1, 2), "after": near(2, 90)}],
        **changes,
    }  # fmt: skip


def model(*tensors: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A model-diff document."""
    found = Finding("embedding-outlier", Severity.HIGH, "1 row moved", "It did.", Location("m.npz"), {}, ("m", "7"))
    return {
        "schema": "countersign/model-diff/v1", "verdict": "fail", "tensors": list(tensors), "forests": {},
        "operators": {}, "findings": [found.to_json()], "refused": [], "ignored": [], "provenance": [], **changes,
    }  # fmt: skip


def artifacts(*models: tuple[str, str, dict[str, Any] | None]) -> dict[str, Any]:
    """An artifacts document of (name, status, model)."""
    side = {"path": "models/m.npz", "size": 12345, "sha256": "c" * 64}
    listed = [
        {"name": name, "status": status, "base": side, "head": side, "model": one, "data": None}
        for name, status, one in models
    ]
    left = {"path": "vocabulary", "reason": "a declared artifact: no table", "category": "weights", "excused": False}
    return {
        "schema": "countersign/artifacts/v1", "verdict": "fail", "artifacts": listed,
        "findings": [finding for _, _, one in models if one is not None for finding in one["findings"]],
        "not_analysed": [left],
    }  # fmt: skip


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314


def test_shifts_are_drawn_with_the_rows_out_of_line_and_told_in_numbers() -> None:
    plot = shifts_plot(tensor())
    assert plot is not None
    assert plot.description == (
        "40 of 100 rows moved, 60 did not. The furthest by 100, the median by 0.5. 1 row out of line is marked."
    )
    assert plot.rows == tuple(
        (f"{low}{DASH}{high}", rows) for low, high, rows in [("0.1", 1, "30"), (1, 10, "9"), (10, 100, "1")]
    )
    assert plot.svg.count('class="fill-soft stroke-paper') == 3
    assert plot.svg.count("fill-amplified") == 1
    assert f"<desc>{plot.description}</desc>" in plot.svg
    without = tensor(outlier_rows=[])
    assert "fill-amplified" not in str(shifts_plot(without))
    assert shifts_plot(tensor(row_shifts=None)) is None
    assert shifts_plot(tensor(row_shifts={**tensor()["row_shifts"], "histogram": None})) is None


def test_a_spectrum_tells_shares_of_the_difference_and_their_sum() -> None:
    plot = spectrum_plot(tensor())
    assert plot is not None
    assert plot.description.startswith("3 of 8 directions hold 99 % of the difference; the first 81.0")
    assert "Column 5 holds 30.0" in plot.description
    assert [row[0] for row in plot.rows] == ["1", "2", "3"]
    assert [row[1].split("\u202f")[0] for row in plot.rows] == ["81.0", "16.0", "1.0"]
    assert [row[2].split("\u202f")[0] for row in plot.rows] == ["81.0", "97.0", "98.0"]
    many = spectrum_plot(tensor(spectrum={**tensor()["spectrum"], "rank_99": None, "full_rank": 64}))
    assert many is not None
    assert many.description.startswith("No few of 64 directions hold")
    assert spectrum_plot(tensor(spectrum=None)) is None


def test_neighbours_are_joined_where_they_stay_and_marked_where_they_are_gone_or_new() -> None:
    plot = neighbours_plot(tensor()["neighbours"][0])
    assert plot.sentence == "Of the 2 nearest before, 1 is among the nearest now; 1 is new."
    assert texts(str(plot.svg)) == ["item 1", "item 2", "item 2", "item 90"]
    assert [plot.svg.count(f'class="{ink}') for ink in ("stroke-rule", "fill-suppressed", "fill-amplified")] == [
        1,
        1,
        1,
    ]
    assert [[(one.name, one.stayed) for one in pair if one] for pair in plot.pairs] == [
        [("item 1", False), ("item 2", True)], [("item 2", True), ("item 90", False)]
    ]  # fmt: skip
    bare = neighbours_plot({"row": 1234, "jaccard": 0.0, "before": [], "after": [{"row": 5, "cosine": 0.5}]})
    assert (bare.name, bare.pairs[0][0]) == ("row 1,234", None)


def test_the_page_needs_nothing_else_and_is_the_same_each_time() -> None:
    document = model(tensor(), tensor("bias", row_shifts=None, spectrum=None, neighbours=None, outlier_rows=[]))
    html = model_html(document, "als.npz")
    assert html == model_html(document, "als.npz")
    assert html.count('<svg class="chart" role="img"') == 3
    assert not re.search(r"<script|\shref=\"http|\ssrc=|\sstyle=|url\(", html)
    assert html.count("<caption") == html.count("<table")
    assert "<title>fail: als.npz" in html
    for words in ("item 7", "812", "1 row moved", "bias", "1 other tensor that changed"):
        assert words in html, words


def test_names_of_a_hostile_model_are_shown_and_never_obeyed() -> None:
    rows = [{"row": 7, "score": 9.0, "shift": 90.0, "old_norm": None, "new_norm": None, "id": HOSTILE}]
    around = [{"row": 7, "id": HOSTILE, "jaccard": 0.0, "before": near(1), "after": [{**near(2)[0], "id": HOSTILE}]}]
    html = model_html(model(tensor(HOSTILE, outlier_rows=rows, neighbours=around), tensor(HOSTILE)), HOSTILE)
    assert "<script>" not in html
    assert "\u202e" not in html


def test_the_largest_move_comes_first_and_what_is_not_drawn_is_in_a_line() -> None:
    many = [tensor(f"t{at:03}", outlier_rows=[]) for at in range(300)]
    view = model_view(model(*many, tensor("worst"), tensor("still", status="same")), "m")
    assert [table.name for table in view.tables] == ["worst", "t000", "t001", "t002", "t003", "t004"]
    assert (len(view.others), view.left) == (200, 95)
    assert view.sentence == "302 tensors: 301 changed, 1 the same."


@pytest.mark.parametrize(
    ("value", "shown"), [(1486.3, "1,486"), (27.94, "27.9"), (0.0012345, "0.00123"), (1e6, "1,000,000")]
)
def test_numbers_are_written_out(value: float, shown: str) -> None:
    assert number(value) == shown


def test_slices_and_alignment_are_told_where_a_table_was_turned() -> None:
    aligned = {
        "rows": 100, "residual": 0.2, "scale": 1.0, "turned": 0.5, "neighbours": 10, "sampled": 100, "jaccard": 0.7,
        "second_order": 0.99, "outlier_rows": [], "rebuild": None,
        "groups": [{"name": "state", "rows": 1500, "score": -0.01, "towards": 4.24}],
    }  # fmt: skip
    (table,) = model_view(model(tensor(aligned=aligned)), "m").tables
    assert table.groups == (("state", "1,500", "+0.0", "+4.2"),)
    assert ("left after alignment", "0.2") in table.facts


def test_who_made_a_model_is_told_where_it_is_verified_and_what_is_wrong_where_not() -> None:
    made = {"path": "m.npz", "problem": None, "builder": HOSTILE, "commits": ["a" * 40], "signed_by": ["ci"]}
    bad = {"path": "n.npz", "problem": "no key verifies it", "builder": None, "commits": [], "signed_by": []}
    view = model_view(model(tensor(), provenance=[made, bad]), "m")
    assert view.made == (f"m.npz: made by {HOSTILE} from {'a' * 12}, signed by ci", "n.npz: no key verifies it")
    page = model_html(model(tensor(), provenance=[made, bad]), "m")
    assert "signed by ci" in page
    assert "n.npz: no key verifies it" in page
    assert "<script>" not in page


def test_what_the_weights_alone_would_show_is_told_by_slice() -> None:
    one = {"name": HOSTILE, "base_share": 0.1, "head_share": 0.25, "ratio": 2.5, "error": 0.004}
    nothing = {"name": "new", "base_share": 0.0, "head_share": 0.02, "ratio": None, "error": 0.001}
    document = model(tensor(), heads={"users": 40, "k": 20, "groups": [one, nothing]})
    view = model_view(document, "m")
    assert view.heads[0][1:4] == ("10.0\u202f%", "25.0\u202f%", "2.50")
    assert view.heads[1][3] == DASH
    page = model_html(document, "m")
    assert "What the weights alone would show 40 users in the first 20" in page
    assert "<script>" not in page
    assert "the weights alone" not in model_html(model(tensor()), "m")


@pytest.mark.parametrize("with_models", [True, False])
def test_the_report_has_models_where_artifacts_were_compared(
    manifest: dict[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], *, with_models: bool
) -> None:
    found = artifacts(("model", "changed", model(tensor())), ("ids", "same", None)) if with_models else None
    document = report_document(manifest, diff(), audit(), artifacts=found)
    html = report_html(document)
    assert (document["artifacts"], document["verdict"]) == (found, "fail" if with_models else "pass")
    assert ("Models and data" in html, "vocabulary" in html) == (with_models, with_models)
    assert [one["name"] for one in document["evidence"]] == ["diff", "audit", *(["artifacts"] if with_models else [])]
    views = model_views(found)
    assert [view.name for view in views] == (["model", "ids"] if with_models else [])
    if with_models:
        assert views[1].status == "models/m.npz, 12,345 bytes, the same bytes on both sides"
        assert document["counts"]["findings"]["high"] == 1


def test_of_one_fingerprint_in_two_documents_the_worst_is_shown(
    manifest: dict[str, Any], diff: Callable[..., Any], audit: Callable[..., Any]
) -> None:
    worse = model(tensor())["findings"][0]
    milder = {**worse, "severity": "low"}
    for first, second in ((milder, worse), (worse, milder)):
        found = {**artifacts(("model", "changed", model(tensor(), findings=[second])))}
        document = report_document(manifest, diff(first), audit(), artifacts=found)
        assert (document["counts"]["findings"]["high"], document["counts"]["findings"]["low"]) == (1, 0)
