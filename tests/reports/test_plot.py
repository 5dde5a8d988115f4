# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from reports import forest_plot
from reports._svg import INKS

if TYPE_CHECKING:
    from collections.abc import Callable

SVG = "{http://www.w3.org/2000/svg}"


def test_the_chart_is_named_and_described_for_who_cannot_see_it(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    chart = forest_plot(audit(cell(), cell(verdict="inconclusive", ratio=1.2)))
    root = ET.fromstring(str(chart.svg))  # noqa: S314 - our own chart
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    assert root[1].text == "2 cells, worst first: 1 inconclusive and 1 equivalent."


def test_no_cells_make_no_picture_and_say_so(audit: Callable[..., Any]) -> None:
    chart = forest_plot(audit())
    assert (chart.svg, chart.rows, chart.total) == ("", (), 0)
    assert "no cells" in chart.description


@pytest.mark.parametrize("ratio", [None, 0.0, 0.001, 1000.0])
def test_a_ratio_that_fits_no_axis_still_has_its_row(
    audit: Callable[..., Any], cell: Callable[..., Any], ratio: float | None
) -> None:
    odd = cell(slice="odd", verdict="amplified", ratio=ratio, ratio_low=ratio, ratio_high=ratio,
               churn_low=None, churn_high=None, minimum_detectable_ratio=None)  # fmt: skip
    svg = forest_plot(audit(odd, cell())).svg
    assert ">odd</text>" in svg
    assert "NaN" not in svg
    assert "Infinity" not in svg


def test_of_many_cells_the_worst_are_drawn_and_all_are_in_the_rows(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    cells = [cell(slice=f"s{number}", ratio=1 + number / 1000) for number in range(199)]
    chart = forest_plot(audit(*cells, cell(slice="bad", verdict="suppressed", ratio=0.5)))
    assert (chart.shown, chart.total) == (40, 200)
    assert chart.rows[0].slice == "bad"
    assert chart.rows[1].slice == "s198"
    assert "The worst 40 of 200 are drawn" in chart.description


def test_the_svg_holds_nothing_that_a_strict_policy_would_block(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    verdicts = ("amplified", "suppressed", "shifted", "inconclusive", "not-run", "equivalent")
    root = ET.fromstring(str(forest_plot(audit(*(cell(slice=name, verdict=name) for name in verdicts))).svg))  # noqa: S314 - our own chart
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "path", "line", "rect", "text"}
        assert not {"style", "id", "href", "onload"} & set(element.attrib)
        for paint in ("fill", "stroke"):
            assert element.get(paint) in {None, "none", *INKS.values()}


def test_every_verdict_is_told_by_shape_and_word_and_not_by_colour_alone(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    names = ("amplified", "suppressed", "shifted", "inconclusive", "equivalent")
    shapes = set()
    for name in names:
        svg = str(forest_plot(audit(cell(verdict=name))).svg)
        assert f">{name}</text>" in svg
        shapes.add((re.findall(r'<path[^>]* d="([^"]+)"[^>]*/>', svg)[-1], "fill-paper" in svg))
    assert len(shapes) == len(names)


def test_hostile_names_are_text_and_show_what_they_hide(
    audit: Callable[..., Any], cell: Callable[..., Any], hostile: str
) -> None:
    svg = forest_plot(audit(cell(slice=f"\u202e{hostile}"))).svg
    assert "<script" not in svg
    assert "\u202e" not in svg
    assert "⟦U+202E⟧&lt;script&gt;" in svg


def test_the_same_cells_give_the_same_bytes_in_another_process(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    document = audit(cell(), cell(cohort={"country": "DE"}, ratio=1.4, verdict="amplified"))
    program = f"from reports import forest_plot\nprint(forest_plot({document!r}).svg)"
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert other.strip() == str(forest_plot(document).svg)


def test_a_family_of_its_own_is_drawn_apart(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    document = audit(cell(), cell(slice="outlet=x", family="secondary"))
    assert [row.slice for row in forest_plot(document, family="secondary").rows] == ["outlet=x"]
