# SPDX-License-Identifier: Apache-2.0
"""MovieLens in its three layouts: 100K (``u.data``), 1M and 10M (``ratings.dat``), the CSV ones (``ratings.csv``).

Layouts as in the README files of the data sets (Harper and Konstan 2015, doi:10.1145/2827872).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from behavior._foreign import number, read_fields, refuse, require_filled, whole_number
from behavior._tables import read_any_table, require_known, require_unique
from evidence import PanelError

if TYPE_CHECKING:
    from pathlib import Path

_GENRES_100K = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
_UP_TO_100K = (17, 24, 34, 44, 54)
_BANDS_100K = ("under 18", "18-24", "25-34", "35-44", "45-54", "55+")
_AGES_1M = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}
_NO_GENRE = "(no genres listed)"


class Imported(NamedTuple):
    """Tables of a panel to be. ``users`` may be None: the layout says nothing of people."""

    items: pl.DataFrame
    users: pl.DataFrame | None
    events: pl.DataFrame


def movielens_100k(folder: Path) -> Imported:
    """``u.data``, ``u.item``, ``u.user``."""
    columns = ["movie id", "title", "release date", "video release date", "URL", *_GENRES_100K]
    films = read_fields(folder / "u.item", "|", columns)
    for genre in _GENRES_100K:
        refuse(films, genre, "u.item", ~films[genre].is_in(["0", "1"]), "is not 0 or 1")
    released = films["release date"].str.to_date("%d-%b-%Y", strict=False)
    refuse(films, "release date", "u.item", released.is_null() & (films["release date"] != ""), "is no date")
    items = pl.DataFrame(
        [
            films["movie id"].alias("item_id"),
            films["title"],
            released.alias("released"),
            *((films[genre] == "1").alias(_flag(genre)) for genre in _GENRES_100K),
        ]
    )
    people = read_fields(folder / "u.user", "|", ["user id", "age", "gender", "occupation", "zip code"])
    age = whole_number(people, "age", "u.user")
    users = pl.DataFrame(
        [
            people["user id"].alias("user_id"),
            people["gender"],
            pl.Series("age_band", [_BANDS_100K[band] for band in np.searchsorted(_UP_TO_100K, age.to_numpy())]),
            people["occupation"],
        ]
    )
    events = _events(read_fields(folder / "u.data", "\t", ["user id", "item id", "rating", "timestamp"]), "u.data")
    return _linked(
        Imported(items, users, events), ("u.item", "movie id"), ("u.user", "user id"), ("u.data", "item id", "user id")
    )


def movielens_dat(folder: Path) -> Imported:
    """``ratings.dat``, ``movies.dat`` and, in the 1M set, ``users.dat``."""
    films = read_fields(folder / "movies.dat", "::", ["MovieID", "Title", "Genres"])
    events = _events(
        read_fields(folder / "ratings.dat", "::", ["UserID", "MovieID", "Rating", "Timestamp"]), "ratings.dat"
    )
    users = _people_1m(folder / "users.dat") if (folder / "users.dat").is_file() else None
    items = _with_genres(films, "MovieID", "Title", "Genres")
    return _linked(
        Imported(items, users, events),
        ("movies.dat", "MovieID"),
        ("users.dat", "UserID"),
        ("ratings.dat", "MovieID", "UserID"),
    )


def movielens_csv(folder: Path) -> Imported:
    """``ratings.csv`` and ``movies.csv``, as in ml-latest, 20M, 25M and 32M."""
    films, ratings = (_csv(folder / name) for name in ("movies.csv", "ratings.csv"))
    for frame, name, needed in (
        (films, "movies.csv", ("movieId", "title", "genres")),
        (ratings, "ratings.csv", ("userId", "movieId", "rating", "timestamp")),
    ):
        if missing := [column for column in needed if column not in frame.columns]:
            raise PanelError(f"{name}: no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    events = _events(ratings.select("userId", "movieId", "rating", "timestamp"), "ratings.csv")
    items = _with_genres(films, "movieId", "title", "genres")
    return _linked(
        Imported(items, None, events), ("movies.csv", "movieId"), ("", ""), ("ratings.csv", "movieId", "userId")
    )


def _csv(path: Path) -> pl.DataFrame:
    read_any_table(path)  # for its refusals
    return pl.read_csv(path, infer_schema=False)


def _people_1m(path: Path) -> pl.DataFrame:
    people = read_fields(path, "::", ["UserID", "Gender", "Age", "Occupation", "Zip-code"])
    age = whole_number(people, "Age", path.name)
    refuse(people, "Age", path.name, ~age.is_in(list(_AGES_1M)), f"is none of {', '.join(map(str, _AGES_1M))}")
    occupation = whole_number(people, "Occupation", path.name)
    return pl.DataFrame(
        [
            people["UserID"].alias("user_id"),
            people["Gender"].alias("gender"),
            age.replace_strict(_AGES_1M, return_dtype=pl.String).alias("age_band"),
            occupation.alias("occupation"),
        ]
    )


def _with_genres(films: pl.DataFrame, key: str, title: str, genres: str) -> pl.DataFrame:
    listed = films[genres].fill_null("").str.split("|")
    names = sorted({name for row in listed.to_list() for name in row} - {"", _NO_GENRE})
    year = films[title].str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64)
    return pl.DataFrame(
        [
            films[key].alias("item_id"),
            films[title].alias("title"),
            year.alias("year"),
            *(listed.list.contains(name).alias(_flag(name)) for name in names),
        ]
    )


def _events(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    """Ratings in order of time; columns are user, item, rating, Unix time, whatever they are called."""
    user, item, rating, at = frame.columns
    for column in (user, item):
        require_filled(frame, column, file)
    events = pl.DataFrame(
        [
            frame[user].alias("user_id"),
            frame[item].alias("item_id"),
            whole_number(frame, at, file).alias("at"),
            number(frame, rating, file).alias("rating"),
        ]
    )
    return events.with_columns(pl.from_epoch("at", time_unit="s").cast(pl.Datetime("us"))).sort(
        "at", maintain_order=True
    )


def _linked(made: Imported, films: tuple[str, str], people: tuple[str, str], events: tuple[str, str, str]) -> Imported:
    """The tables again, once every identifier is unique and every event's is known."""
    file, item, user = events
    for table, key, (source, column), name in (
        (made.items, "item_id", films, item),
        (made.users, "user_id", people, user),
    ):
        if table is not None:
            named = table.rename({key: column})
            require_filled(named, column, source)
            require_unique(named, column, source)
            require_known(made.events.rename({key: name}), name, file, table[key], source)
    return made


def _flag(genre: str) -> str:
    return "genre_" + re.sub(r"[^a-z0-9]+", "_", genre.lower()).strip("_")
