# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from behavior import read_panel
from evidence import PanelError, Severity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _names(panel: Any) -> list[str]:
    return [declared.name for declared in panel.slices]


def test_slices_and_cohorts_are_named_after_what_they_hold(panel_folder: Callable[..., Any]) -> None:
    panel = panel_folder().read()
    assert _names(panel)[:4] == ["state", "side=centre", "side=left", "side=right"]
    assert [declared.family for declared in panel.slices].count("secondary") == 7
    assert panel.slices[0].severity is Severity.CRITICAL
    assert [cohort.name for cohort in panel.cohorts] == [{}, {"country": "DE"}, {"country": "FR"}]
    assert panel.membership[:, [0]].sum() == 30
    assert [len(cohort.members) for cohort in panel.cohorts] == [200, 100, 100]


def test_depth_defaults_to_five_k_and_at_least_a_hundred_but_never_more_than_the_catalogue(
    panel_folder: Callable[..., Any],
) -> None:
    folder = panel_folder(items=300, k=30)
    assert replace(folder, toml=folder.toml.replace("depth = 50\n", "")).read().depth == 150
    folder = panel_folder(items=300)
    assert replace(folder, toml=folder.toml.replace("depth = 50\n", "")).read().depth == 100
    folder = panel_folder(items=60)
    assert replace(folder, toml=folder.toml.replace("depth = 50\n", "")).read().depth == 60


def test_a_panel_reads_the_same_from_csv_tsv_and_parquet_in_any_order(panel_folder: Callable[..., Any]) -> None:
    digests = {read_panel(panel_folder(name=kind).write(kind)).digest for kind in ("parquet", "csv", "tsv")}
    folder = panel_folder(name="shuffled")
    turned = folder.with_table(
        "items", folder.tables["items"].reverse().select(*reversed(folder.tables["items"].columns))
    )
    digests.add(turned.read().digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: replace(folder, toml=folder.toml.replace("margin = 1.10", "margin = 1.11")),
        lambda folder: replace(folder, toml=folder.toml.replace("seed = 3", "seed = 4")),
        lambda folder: folder.with_table("items", folder.tables["items"].with_columns(views=pl.col("views") + 1)),
        lambda folder: folder.with_table("users", folder.tables["users"].with_columns(pl.col("age").cast(pl.Float64))),
        lambda folder: folder.with_table("histories", folder.tables["histories"].head(49)),
    ],
)
def test_any_change_of_content_changes_the_digest(panel_folder: Callable[..., Any], change: Callable[..., Any]) -> None:
    folder = panel_folder()
    assert change(folder).read().digest != replace(folder, folder=folder.folder / "other").read().digest


def test_order_within_a_history_is_content(panel_folder: Callable[..., Any]) -> None:
    folder = panel_folder(users=5)
    turned = folder.with_table("histories", folder.tables["histories"].reverse())
    assert turned.read().digest != replace(folder, folder=folder.folder / "other").read().digest


def test_soft_labels_and_expressions_give_degrees(panel_folder: Callable[..., Any]) -> None:
    slices = """
    [[slices]]
    name = "soft"
    where = "score"
    [[slices]]
    name = "both"
    where = "state AND side IN ('left', 'right') AND views >= 30"
    """
    panel = panel_folder(slices=slices).read()
    degrees = panel.membership.toarray()
    assert degrees[150, 0] == pytest.approx(0.5)
    assert degrees[:, 1].sum() == sum(1 for index in range(10, 300, 10) if index % 3 in {0, 1})


def test_combinations_of_columns_make_cohorts_of_those_that_exist(panel_folder: Callable[..., Any]) -> None:
    folder = panel_folder(slices='[[slices]]\nname = "s"\nwhere = "state"\n[[cohorts]]\nby = ["country", "sex"]\n')
    users = folder.tables["users"].with_columns(sex=pl.Series(["f", None, "m", "f"] * 50))
    panel = folder.with_table("users", users).read()
    assert [cohort.name for cohort in panel.cohorts[1:]] == [
        {"country": "DE", "sex": "f"},
        {"country": "DE", "sex": "m"},
        {"country": "FR", "sex": "f"},
    ]


def test_request_context_comes_from_user_columns_or_from_requests(panel_folder: Callable[..., Any]) -> None:
    folder = panel_folder(users=3, extra='[context]\nplace = "country"\n')
    assert folder.read().requests.to_dicts()[0] == {"user_id": "u0", "place": "DE"}
    requests = pl.DataFrame({"user_id": ["u0", "u0", "u1", "u2"], "device": ["tv", "phone", "tv", "tv"]})
    panel = replace(folder.with_table("requests", requests), folder=folder.folder / "more").read()
    assert panel.requests.height == 4
    assert panel.requests.to_dicts()[1] == {"user_id": "u0", "device": "phone", "place": "DE"}


def test_match_on_takes_columns_popularity_and_age(panel_folder: Callable[..., Any]) -> None:
    folder = panel_folder(extra='[exposure]\nmatch_on = ["side", "popularity", "age"]\n')
    dates = pl.Series([dt.date(2026, 1, 1) + dt.timedelta(days=index) for index in range(300)])
    panel = folder.with_table("items", folder.tables["items"].with_columns(published=dates)).read()
    sides = panel.items["side"].to_list()
    assert len({(code, sides[row]) for row, code in enumerate(panel.match)}) == len(set(panel.match))
    assert len(set(panel.match)) > 30


def _column(table: str, **columns: Any) -> Callable[..., Any]:
    return lambda folder: folder.with_table(table, folder.tables[table].with_columns(**columns))


def _toml(old: str, new: str) -> Callable[..., Any]:
    return lambda folder: replace(folder, toml=folder.toml.replace(old, new))


def _head(text: str) -> Callable[..., Any]:
    return lambda folder: replace(folder, toml=folder.toml.replace("[[slices]]", f"{text}\n[[slices]]", 1))


def _first(column: str, value: Any) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 4).then(pl.lit(value)).otherwise(pl.col(column))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: folder.without_table("items"), ["no items.parquet"]),
        (lambda folder: folder.without_table("users"), ["no users.parquet"]),
        (lambda folder: folder.without_table("histories"), ["no histories.parquet"]),
        (lambda f: f.with_table("items", f.tables["items"].drop("item_id")), ["items.parquet", "'item_id'"]),
        (
            lambda f: f.with_table("histories", f.tables["histories"].drop("item_id")),
            ["histories.parquet", "'item_id'"],
        ),
        (_column("items", item_id=_first("item_id", "i9")), ["items.parquet", "item_id", "'i9'", "twice"]),
        (_column("users", user_id=_first("user_id", "u9")), ["users.parquet", "user_id", "'u9'", "twice"]),
        (_column("users", user_id=_first("user_id", None)), ["users.parquet", "user_id", "row 5"]),
        (
            _column("histories", item_id=_first("item_id", "zz")),
            ["histories.parquet", "item_id", "'zz'", "items.parquet"],
        ),
        (
            _column("histories", user_id=_first("user_id", "zz")),
            ["histories.parquet", "user_id", "'zz'", "users.parquet"],
        ),
        (_toml('where = "state"', 'where = "score * 1.5"'), ["score * 1.5", "outside [0, 1]", "'i201'"]),
        (_toml('where = "state"', 'where = "nowhere"'), ["'nowhere'", "items.parquet"]),
        (_toml('where = "state"', 'where = "state AND"'), ["state AND"]),
        (_toml('where = "state"', 'where = "count(*) > 1"'), ["slice 'state'", "'COUNT' is not allowed"]),
        (_toml('where = "state"', 'where = "max(score)"'), ["slice 'state'", "aggregate 'MAX' is not allowed"]),
        (_toml('where = "state"', 'where = "side"'), ["'side'", "String"]),
        (_toml('where = "state"', "where = \"side = 'middle'\""), ["side = 'middle'", "no item"]),
        (_toml('each = "side"', 'each = "stance"'), ["items.parquet", "'stance'"]),
        (_toml('each = "side"', 'each = "score"'), ["'score'", "fractions"]),
        (_toml('by = "country"', 'by = "land"'), ["users.parquet", "'land'"]),
        (_toml('each = ["outlet"]', 'each = ["source"]'), ["items.parquet", "'source'"]),
        (_toml("seed = 3", "seed = 3\nsed = 4"), ["panel.toml", "unknown key 'sed'"]),
        (_toml("margin = 1.10", "margin = 0.9"), ["panel.toml", "slices.0.margin", "0.9"]),
        (_toml("margin = 1.10", "margin = nan"), ["panel.toml", "slices.0.margin"]),
        (_toml('severity = "critical"', 'severity = "awful"'), ["panel.toml", "slices.0.severity", "'awful'"]),
        (_toml("k = 10", "k = 1000"), ["panel.toml"]),
        (_toml("depth = 50", "depth = 5"), ["panel.toml", "depth = 5"]),
        (_toml('name = "state"', 'name = "side=left"'), ["'side=left'", "two slices"]),
        (_toml("permutations = 200", "permutations = 200\nalpha_fail = 0.001"), ["can never reach"]),
        (_head('[exposure]\nweights = "loud"'), ["exposure.weights", "'loud'"]),
        (_head('[exposure]\nmatch_on = ["mood"]'), ["items.parquet", "'mood'"]),
        (_head('[exposure]\nmatch_on = ["age"]'), ["'age'", "date column"]),
        (_head('[context]\nland = "land"'), ["users.parquet", "'land'"]),
        (_head('[probes]\nrequired = ["magic"]'), ["probes.required"]),
        (_toml("seed = 3", "seed ="), ["panel.toml", "not valid TOML"]),
    ],
)
def test_a_panel_that_cannot_be_used_is_refused_in_one_line(
    panel_folder: Callable[..., Any], change: Callable[..., Any], words: list[str]
) -> None:
    with pytest.raises(PanelError) as refused:
        change(panel_folder()).read()
    for word in words:
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("value", "shown"), [(1.2, "1.2"), (-0.1, "-0.1"), (float("nan"), "nan"), (None, "no label")])
def test_a_label_outside_zero_to_one_names_file_column_and_value(
    panel_folder: Callable[..., Any], value: float | None, shown: str
) -> None:
    folder = panel_folder(slices='[[slices]]\nname = "s"\nwhere = "score"\n')
    items = folder.tables["items"].with_columns(score=_first("score", value))
    with pytest.raises(PanelError) as refused:
        folder.with_table("items", items).read()
    assert "items.parquet: column 'score'" in str(refused.value)
    assert shown in str(refused.value)
    assert "'i4'" in str(refused.value)


def test_a_missing_panel_and_two_formats_of_one_table_are_refused(
    panel_folder: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(PanelError, match="no such directory"):
        read_panel(tmp_path / "nowhere")
    folder = panel_folder().write()
    (folder / "items.csv").write_text("item_id\n1\n", encoding="utf-8")
    with pytest.raises(PanelError, match="both items"):
        read_panel(folder)


def test_leading_zeros_of_ids_survive_csv(panel_folder: Callable[..., Any]) -> None:
    folder = panel_folder(users=3)
    users = folder.tables["users"].with_columns(user_id=pl.Series(["007", "08", "9"]))
    histories = pl.DataFrame({"user_id": ["007"], "item_id": ["i1"]})
    panel = read_panel(folder.with_table("users", users).with_table("histories", histories).write("csv"))
    assert panel.users["user_id"].to_list() == ["007", "08", "9"]


@pytest.mark.real_data
def test_nemig_reads_as_it_is(real_data: Path) -> None:
    panel = read_panel(real_data / "nemig-de")
    assert (panel.name, panel.k, panel.depth) == ("nemig-de", 20, 100)
    assert (panel.users.height, panel.items.height) == (3432, 7346)
    assert len(panel.slices) == 70
    assert len(panel.cohorts) == 11
    assert panel.membership[:, [0]].sum() == 679
