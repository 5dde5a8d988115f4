# SPDX-License-Identifier: Apache-2.0
"""Public layouts become panels; a line that is not as the layout says is named, and nothing is left behind."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl
import pytest

from behavior import Beside, IdColumns, import_panel
from evidence import PanelError

if TYPE_CHECKING:
    from pathlib import Path

    from behavior import Panel

ML_100K = {
    "u.data": b"1\t2\t5\t881250949\n1\t1\t3\t881250900\n2\t1\t1\t881251000\n",
    "u.item": (
        b"1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        b"2|Am\xe9lie (2001)||||0|0|0|0|0|1|0|0|0|0|0|0|0|0|1|0|0|0|0\n"
    ),
    "u.user": b"1|24|M|technician|85711\n2|53|F|other|94043\n",
}
ML_1M = {
    "ratings.dat": b"1::1193::5::978300760\n2::661::3::978302109\n1::661::4::978300000\n",
    "movies.dat": b"661::James: the Giant Peach (1996)::Animation|Children's\n1193::L\xe9on (1994)::Drama\n",
    "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n",
}
ML_LATEST = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.0,964982703\n01,2,0.5,964981247\n",
    "movies.csv": 'movieId,title,genres\n1,"Heat, The (1995)",Action|Sci-Fi\n2,Ölberg,(no genres listed)\n'.encode(),
}
MIND = {
    "news.tsv": b'N1\tnews\tworld\tTitle "one"\tAbstract\thttps://x\t[]\t[]\nN2\tsports\tgolf\tTwo\t\t\t[]\t[]\nN3\tnews\tlocal\tThree\t\t\t\t\n',
    "behaviors.tsv": (
        b"1\tU1\t11/15/2019 8:55:22 PM\tN1 N2\tN3-1 N2-0\n"
        b"2\tU2\t11/14/2019 8:00:00 AM\t\tN1-0\n"
        b"3\tU1\t11/15/2019 8:55:22 AM\tN1 N2\tN2-1\n"
    ),
}


def _import(folder: Path, files: dict[str, bytes], **options: object) -> Panel:
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name, content in files.items():
        (source / name).write_bytes(content)
    return import_panel(source, folder / "made", **options)  # type: ignore[arg-type] # options as the test says


def test_movielens_100k(tmp_path: Path) -> None:
    panel = _import(tmp_path, ML_100K)
    assert panel.items["title"].to_list() == ["Toy Story (1995)", "Amélie (2001)"]
    assert panel.items["released"].to_list() == [dt.date(1995, 1, 1), None]
    assert panel.items.select("genre_comedy", "genre_children_s", "genre_romance").row(1) == (True, False, True)
    assert panel.users.rows() == [("1", "M", "18-24", "technician", "some"), ("2", "F", "45-54", "other", "few")]
    assert panel.histories["item_id"].to_list() == ["1", "2", "1"]
    assert panel.histories["rating"].to_list() == [3.0, 5.0, 1.0]
    assert "genre_comedy" in [declared.name for declared in panel.slices]


def test_movielens_1m_and_10m(tmp_path: Path) -> None:
    panel = _import(tmp_path, ML_1M)
    assert panel.items.select("item_id", "title", "year").row(0) == ("661", "James: the Giant Peach (1996)", 1996)
    assert panel.items["title"][1] == "Léon (1994)"
    assert panel.users.select("user_id", "gender", "age_band").rows() == [("1", "F", "under 18"), ("2", "M", "56+")]
    assert panel.histories.select("user_id", "item_id").rows() == [("1", "661"), ("1", "1193"), ("2", "661")]
    (tmp_path / "ten").mkdir()
    ten = _import(tmp_path / "ten", {name: content for name, content in ML_1M.items() if name != "users.dat"})
    assert ten.users.columns == ["user_id", "activity"]


def test_movielens_latest(tmp_path: Path) -> None:
    panel = _import(tmp_path, ML_LATEST, at_least=3.5)
    assert panel.items.row(0, named=True) == {
        "item_id": "1",
        "title": "Heat, The (1995)",
        "year": 1995,
        "genre_action": True,
        "genre_sci_fi": True,
    }
    assert panel.users["user_id"].to_list() == ["01", "1"]
    assert panel.histories.select("user_id", "item_id").rows() == [("1", "1")]


def test_mind(tmp_path: Path) -> None:
    panel = _import(tmp_path, MIND)
    assert panel.items["title"][0] == 'Title "one"'
    assert panel.histories.select("user_id", "item_id", "event").rows() == [
        ("U1", "N1", "history"),
        ("U1", "N2", "history"),
        ("U1", "N2", "click"),
        ("U1", "N3", "click"),
    ]
    assert panel.histories["at"][3] == dt.datetime(2019, 11, 15, 20, 55, 22)  # noqa: DTZ001 - MIND's times have no zone
    assert sorted(panel.users["user_id"]) == ["U1", "U2"]


def test_plain_interactions_with_and_without_tables_beside(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("uid,video_id,ts\nb,v2,2026-01-02T10:00:00\na,v1,2026-01-01T10:00:00\nb,v1,2026-01-03T10:00:00\n")
    alone = import_panel(events, tmp_path / "alone")
    assert alone.users.rows() == [("a", "few"), ("b", "some")]
    assert sorted(alone.items["item_id"]) == ["v1", "v2"]
    assert alone.k == 2
    (tmp_path / "videos.csv").write_text("id,state\nv1,true\nv2,false\nv3,true\n")
    (tmp_path / "people.csv").write_text("id,land\na,DE\nb,FR\nc,DE\n")
    beside = Beside(items=tmp_path / "videos.csv", users=tmp_path / "people.csv")
    panel = import_panel(events, tmp_path / "made", beside=beside, name="watched", k=1)
    assert panel.name == "watched"
    assert panel.membership.toarray().ravel().tolist() == [1, 0, 1]
    assert panel.users.columns == ["user_id", "land", "activity"]
    named = import_panel(events, tmp_path / "named", ids=IdColumns(user="video_id", item="uid"))
    assert sorted(named.items["item_id"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("files", "name", "content", "words"),
    [
        (ML_100K, "u.data", b"1\t2\t5\n", "u.data: row 1: 3 fields instead of 4: '1\\t2\\t5'"),
        (ML_100K, "u.data", b"1\t2\tfive\t881250949\n", "u.data: row 1: column 'rating': 'five' is not a number"),
        (ML_100K, "u.data", b"1\t2\tnan\t881250949\n", "u.data: row 1: column 'rating': 'nan' is not a number"),
        (ML_100K, "u.data", b"1\t2\t5\t8.5\n", "u.data: row 1: column 'timestamp': '8.5' is not a whole number"),
        (ML_100K, "u.data", b"1\t9\t5\t881250949\n", "u.data: column 'item id': '9' is not in u.item"),
        (ML_100K, "u.data", b"9\t1\t5\t881250949\n", "u.data: column 'user id': '9' is not in u.user"),
        (ML_100K, "u.data", b"", "u.data: no lines"),
        (ML_100K, "u.user", b"1|old|M|x|1\n", "u.user: row 1: column 'age': 'old' is not a whole number"),
        (ML_100K, "u.user", b"1|2|M|x|1\n1|3|M|x|1\n", "u.user: column 'user id': '1' is there twice"),
        (
            ML_100K,
            "u.item",
            ML_100K["u.item"].replace(b"|1|1|1", b"|1|7|1", 1),
            "row 1: column \"Children's\": '7' is not",
        ),
        (
            ML_100K,
            "u.item",
            ML_100K["u.item"].replace(b"01-Jan", b"32-Jan"),
            "column 'release date': '32-Jan-1995' is no",
        ),
        (
            ML_1M,
            "users.dat",
            b"1::F::7::10::48067\n2::M::56::16::70072\n",
            "users.dat: row 1: column 'Age': '7' is none",
        ),
        (ML_1M, "movies.dat", b"661::x::Drama\n661::y::Drama\n", "movies.dat: column 'MovieID': '661' is there twice"),
        (ML_LATEST, "ratings.csv", b"userId,movieId,rating\n1,1,4.0\n", "ratings.csv: no column 'timestamp'"),
        (
            ML_LATEST,
            "ratings.csv",
            b"userId,movieId,rating,timestamp\n1,,4.0,1\n",
            "column 'movieId': no value in row 1",
        ),
        (MIND, "behaviors.tsv", b"1\tU1\tnoon\t\tN1-1\n", "behaviors.tsv: row 1: column 'time': 'noon' is no time"),
        (
            MIND,
            "behaviors.tsv",
            b"1\tU1\t11/15/2019 8:55:22 AM\tN9\tN1-1\n",
            "column 'history': 'N9' is not in news.tsv",
        ),
        (
            MIND,
            "behaviors.tsv",
            b"1\tU1\t11/15/2019 8:55:22 AM\t\tN1-2\n",
            "column 'impressions': 'N1-2' is no news id",
        ),
        (MIND, "behaviors.tsv", b"1\tU1\t11/15/2019 8:55:22 AM\t\tN8-1\n", "column 'impressions': 'N8' is not in news"),
    ],
)
def test_bad_input_is_one_line_with_file_column_and_value_and_leaves_nothing(
    tmp_path: Path, files: dict[str, bytes], name: str, content: bytes, words: str
) -> None:
    with pytest.raises(PanelError) as refused:
        _import(tmp_path, {**files, name: content})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_of_no_known_layout_says_what_the_layouts_are(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match=r"no known layout .*mind: behaviors\.tsv, news\.tsv"):
        _import(tmp_path, {"x.csv": b"a\n"})
    with pytest.raises(PanelError, match=r"no behaviors\.tsv, which mind has"):
        _import(tmp_path, {}, layout="mind")
    with pytest.raises(PanelError, match="no such file or folder"):
        import_panel(tmp_path / "nowhere", tmp_path / "made")


def test_ratings_to_keep_need_ratings(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="no column of ratings"):
        _import(tmp_path, MIND, at_least=4.0)


@pytest.mark.real_data
def test_nemig_impressions_import_as_interactions(tmp_path: Path, real_data: Path) -> None:
    folder = real_data / "nemig-de"
    clicks = pl.read_parquet(folder / "impressions.parquet").filter("clicked").height
    beside = Beside(items=folder / "items.parquet", users=folder / "users.parquet")
    panel = import_panel(folder / "impressions.parquet", tmp_path / "made", beside=beside)
    assert panel.histories.height == clicks
    assert panel.items.height == 7346
