# SPDX-License-Identifier: Apache-2.0
"""MIND's layout (Wu et al. 2020, doi:10.18653/v1/2020.acl-main.331): ``behaviors.tsv`` and ``news.tsv``, no headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from behavior._foreign import read_fields, refuse, require_filled
from behavior._movielens import Imported
from behavior._tables import require_known, require_unique

if TYPE_CHECKING:
    from pathlib import Path

_NEWS = ["news id", "category", "subcategory", "title", "abstract", "url", "title entities", "abstract entities"]
_BEHAVIORS = ["impression id", "user id", "time", "history", "impressions"]


def mind(folder: Path) -> Imported:
    """News with category, subcategory, title and abstract; what each user had clicked before, then clicked since.

    A user's history is the one that stands with the user's first impression. Clicks come from impressions, marked
    ``-1``; those of the test set are not marked and give none.
    """
    news = read_fields(folder / "news.tsv", "\t", _NEWS)
    require_filled(news, "news id", "news.tsv")
    require_unique(news, "news id", "news.tsv")
    items = news.select(pl.col("news id").alias("item_id"), "category", "subcategory", "title", "abstract")
    log = read_fields(folder / "behaviors.tsv", "\t", _BEHAVIORS)
    require_filled(log, "user id", "behaviors.tsv")
    at = log["time"].str.to_datetime("%m/%d/%Y %I:%M:%S %p", strict=False, time_unit="us")
    refuse(log, "time", "behaviors.tsv", at.is_null(), "is no time such as 11/15/2019 8:55:22 AM")
    log = log.with_columns(at.alias("at")).sort("at", maintain_order=True)
    before = (
        log.unique("user id", keep="first", maintain_order=True)
        .select(
            pl.col("user id").alias("user_id"),
            pl.col("history").fill_null("").str.extract_all(r"\S+").alias("item_id"),
            pl.lit(None, dtype=pl.Datetime("us")).alias("at"),
        )
        .explode("item_id")
        .drop_nulls("item_id")
        .with_columns(event=pl.lit("history"))
    )
    shown = (
        log.select(
            pl.col("user id").alias("user_id"), pl.col("impressions").fill_null("").str.extract_all(r"\S+"), "at"
        )
        .explode("impressions")
        .drop_nulls("impressions")
    )
    refuse(
        shown,
        "impressions",
        "behaviors.tsv",
        ~shown["impressions"].str.contains(r"^[^-]+(-[01])?$"),
        "is no news id with -0 or -1",
    )
    parts = shown.with_columns(pl.col("impressions").str.extract(r"^([^-]+)").alias("item_id"))
    for events, column in ((before, "history"), (parts, "impressions")):
        named = events.select(pl.col("item_id").alias(column))
        require_known(named, column, "behaviors.tsv", items["item_id"], "news.tsv")
    clicks = parts.filter(pl.col("impressions").str.ends_with("-1")).select(
        "user_id", "item_id", "at", pl.lit("click").alias("event")
    )
    users = log.select(pl.col("user id").alias("user_id")).unique(maintain_order=True)
    return Imported(items, users, pl.concat([before, clicks]))
