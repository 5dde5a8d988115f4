# SPDX-License-Identifier: Apache-2.0
"""What may stand in a slice's ``where``, and what may not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Callable


def _folder(panel_folder: Callable[..., Any], where: str) -> Any:
    folder = panel_folder(items=6, k=2, depth=3, slices=f"[[slices]]\nname = \"s\"\nwhere = '''{where}'''\n")
    items = pl.DataFrame(
        {
            "item_id": [f"i{index}" for index in range(6)],
            "score": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            "outlet": ["RT", "rt de", "ARD", None, "ZDF", "RT"],
            "state": [True, False, None, False, False, True],
            "published": [dt.date(2020 + index, 1, 1) for index in range(6)],
            "odd name": [1, 2, 3, 4, 5, 6],
        }
    )
    histories = pl.DataFrame({"user_id": ["u0"], "item_id": ["i0"]})
    return folder.with_table("items", items).with_table("histories", histories)


@pytest.mark.parametrize(
    ("where", "degrees"),
    [
        ("score", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("score / 2", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ("LEAST(score, 0.5)", [0.0, 0.2, 0.4, 0.5, 0.5, 0.5]),
        ("CASE WHEN state THEN 1.0 WHEN outlet = 'ZDF' THEN 0.5 ELSE 0.0 END", [1, 0, 0, 0, 0.5, 1]),
        ("outlet = 'RT'", [1, 0, 0, 0, 0, 1]),
        ("LOWER(outlet) LIKE 'rt%'", [1, 1, 0, 0, 0, 1]),
        ("outlet IS NULL OR NOT outlet IN ('RT', 'ARD')", [0, 1, 0, 1, 1, 0]),
        ("outlet ~ '^[A-Z]{3}$' -- three letters", [0, 0, 1, 0, 1, 0]),
        ("published >= DATE '2023-01-01' AND score BETWEEN 0.5 AND 0.9", [0, 0, 0, 1, 1, 0]),
        ("EXTRACT(year FROM published) = 2021", [0, 1, 0, 0, 0, 0]),
        ('"odd name" % 2 = 0', [0, 1, 0, 1, 0, 1]),
        ("COALESCE(state, TRUE)", [1, 0, 1, 0, 0, 1]),
    ],
)
def test_an_expression_gives_each_item_a_degree(
    panel_folder: Callable[..., Any], where: str, degrees: list[float]
) -> None:
    folder = _folder(panel_folder, where)
    panel = folder.read()
    assert panel.membership.toarray()[:, 0].tolist() == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("(SELECT score FROM items) > 0.5", "a subquery is not allowed"),
        ("score IN (SELECT 1)", "a subquery is not allowed"),
        ("EXISTS (SELECT 1)", "a subquery is not allowed"),
        ("state AND read_csv('/etc/passwd')", "function 'READ_CSV' is not allowed"),
        ("state OR pg_read_file('/etc/passwd') = ''", "function 'pg_read_file' is not allowed"),
        ("published > CURRENT_DATE", "function 'CURRENT_DATE' is not allowed"),
        ("published < now()", "function 'CURRENT_TIMESTAMP' is not allowed"),
        ("score > RANDOM()", "function 'RAND' is not allowed"),
        ("RANK() OVER (ORDER BY score) = 1", "a window function is not allowed"),
        ("score = MAX(score)", "aggregate 'MAX' is not allowed"),
        ("score; DROP TABLE items", "not allowed"),
        ("other.score", "no column 'other.score'"),
        ('"^.*$"', "no column '^.*$'"),
        ("Score", "no column 'Score'"),
        ("score AND", "not a SQL expression"),
        ("outlet = 'RT", "not a SQL expression"),
        ("(" * 4000 + "score" + ")" * 4000, "not a SQL expression"),
        ("1 = 1", "names no column"),
        ("score > 'a'", "slice 's'"),
        ("score + 0.1", "label 1.1 of item 'i5' is outside [0, 1]"),
        ("LN(score)", "label -inf of item 'i0' is outside [0, 1]"),
        ("CASE WHEN state THEN 0.5 END", "no label for item 'i1'"),
        ("outlet", "is String"),
    ],
)
def test_what_is_no_label_is_refused_in_one_line_that_names_the_slice(
    panel_folder: Callable[..., Any], where: str, words: str
) -> None:
    folder = _folder(panel_folder, where)
    with pytest.raises(PanelError) as refused:
        folder.read()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    if where != "outlet":
        assert str(refused.value).startswith("panel.toml: slice 's'")
