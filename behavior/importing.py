# SPDX-License-Identifier: Apache-2.0
"""Panels from public layouts: MovieLens, MIND, and plain tables of who did what with which item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from behavior._drafts import Draft, require_absent, write_draft
from behavior._layouts import MARKS, Layout
from behavior._mind import mind
from behavior._movielens import Imported, movielens_100k, movielens_csv, movielens_dat
from behavior._tables import EXTENSIONS, require_known
from behavior.scaffold import IdColumns, entity_table, event_table
from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behavior.panels import Panel

_READERS: dict[Layout, Callable[[Path], Imported]] = {
    "ml-100k": movielens_100k,
    "ml-1m": movielens_dat,
    "ml-latest": movielens_csv,
    "mind": mind,
}
_BANDS = ("few", "some", "many")


@dataclass(frozen=True, slots=True)
class Beside:
    """Tables beside a plain table of interactions; None makes them from it. Their identifiers are guessed."""

    items: Path | None = None
    users: Path | None = None


def import_panel(
    source: Path,
    into: Path,
    *,
    layout: Layout | None = None,
    beside: Beside | None = None,
    ids: IdColumns | None = None,
    at_least: float | None = None,
    name: str | None = None,
    k: int = 20,
) -> Panel:
    """Write a panel directory from a data set, with a proposed ``panel.toml``; never over anything.

    Every user gets a column ``activity``, the third of the users, by number of events, that the user is in: layouts
    that say nothing of people have a cohort then too. With ``at_least`` only ratings from there on are kept, and a
    user who has none left keeps an empty history.

    Raises:
        PanelError: ``into`` is there already, an unknown layout, or one line that names file, column and value.
            Nothing is written then.
    """
    require_absent(into)
    layout = layout or _layout_of(source)
    if layout == "interactions":
        made = _interactions(source, beside or Beside(), ids or IdColumns())
    else:
        _require_files(source, layout)
        made = _READERS[layout](source)
    events = made.events
    if at_least is not None:
        if "rating" not in events.columns:
            raise PanelError(f"{source.name}: no column of ratings to keep from {at_least:g} on")
        events = events.filter(pl.col("rating") >= at_least)
    people = made.users if made.users is not None else _people(made.events)
    users = _with_activity(people, made.events)
    note = f"imported from {layout}: {events.height:,} events" + (
        f", ratings from {at_least:g} on" if at_least is not None else ""
    )
    return write_draft(Draft(name or into.name, made.items, users, events, k, [note]), into)


def _layout_of(source: Path) -> Layout:
    if not source.exists():
        raise PanelError(f"{source}: no such file or folder")
    if source.is_file():
        return "interactions"
    for layout, files in MARKS:
        if all((source / file).is_file() for file in files):
            return layout
    known = "; ".join(f"{layout}: {', '.join(files)}" for layout, files in MARKS)
    raise PanelError(f"{source}: holds the files of no known layout ({known}); for one table name the file")


def _require_files(source: Path, layout: Layout) -> None:
    for file in dict(MARKS)[layout]:
        if not (source / file).is_file():
            raise PanelError(f"{source}: no {file}, which {layout} has")


def _interactions(source: Path, beside: Beside, ids: IdColumns) -> Imported:
    if not source.is_file():
        raise PanelError(f"{source}: no such file; a table of interactions is one of {', '.join(EXTENSIONS)}")
    events = event_table(source, ids)
    items = users = None
    if beside.items is not None:
        items = entity_table(beside.items, "item", None)
        require_known(events, "item_id", source.name, items["item_id"], beside.items.name)
    if beside.users is not None:
        users = entity_table(beside.users, "user", None)
        require_known(events, "user_id", source.name, users["user_id"], beside.users.name)
    if items is None:
        items = events.select("item_id").unique(maintain_order=True)
    return Imported(items, users, events)


def _people(events: pl.DataFrame) -> pl.DataFrame:
    return events.select("user_id").unique(maintain_order=True)


def _with_activity(users: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Users with the third they are in by number of events; users with as many events are in the same third."""
    if "activity" in users.columns:
        return users
    counts = users.select("user_id").join(
        events.group_by("user_id").len(), on="user_id", how="left", maintain_order="left"
    )["len"]
    number = counts.fill_null(0).to_numpy().astype(np.float64)
    third = np.searchsorted(np.sort(number), number, side="left") * len(_BANDS) // len(number)
    return users.with_columns(activity=pl.Series([_BANDS[band] for band in third]))
