# SPDX-License-Identifier: Apache-2.0
"""A new panel from any item and user table: ids guessed, slices and cohorts proposed, for a person to go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from behavior._drafts import Draft, require_absent, write_draft
from behavior._guessing import (
    CLICK_NAMES,
    ITEM_NAMES,
    RATING_NAMES,
    TIME_NAMES,
    USER_NAMES,
    as_time,
    find_column,
    identifier,
    named_column,
)
from behavior._tables import read_any_table, read_table, require_known, require_unique
from evidence import PanelError

if TYPE_CHECKING:
    from pathlib import Path

    from behavior.panels import Panel


@dataclass(frozen=True, slots=True)
class IdColumns:
    """Identifier columns by name; None is guessed."""

    user: str | None = None
    item: str | None = None


def new_panel(
    items_file: Path,
    users_file: Path,
    into: Path,
    *,
    histories_file: Path | None = None,
    ids: IdColumns | None = None,
    name: str | None = None,
    k: int = 20,
) -> Panel:
    """Write a panel directory that ``read_panel`` accepts, with a commented ``panel.toml``; never over anything.

    Without a table of histories every user's is empty, and ``panel.toml`` says so.

    Raises:
        PanelError: ``into`` is there already, a table cannot be read, no column can be an identifier, a repeated or
            unknown identifier. Nothing is written then.
    """
    require_absent(into)
    ids = ids or IdColumns()
    items = entity_table(items_file, "item", ids.item)
    users = entity_table(users_file, "user", ids.user)
    notes = [] if histories_file else ["histories: none were given, so every user's is empty"]
    if histories_file is None:
        histories = pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String})
    else:
        histories = event_table(histories_file, ids)
        require_known(histories, "user_id", histories_file.name, users["user_id"], users_file.name)
        require_known(histories, "item_id", histories_file.name, items["item_id"], items_file.name)
    return write_draft(Draft(name or into.name, items, users, histories, k, notes), into)


def entity_table(path: Path, role: str, wanted: str | None) -> pl.DataFrame:
    """A table of items or users with its identifiers, as text, in ``item_id`` or ``user_id``, first.

    Raises:
        PanelError: unreadable, empty, no identifier, or a repeated one.
    """
    names = ITEM_NAMES if role == "item" else USER_NAMES
    frame = read_any_table(path)
    if not frame.height:
        raise PanelError(f"{path.name}: no rows")
    column = identifier(frame, path.name, role, names, wanted)
    renamed = _with_id(read_table(path, [column]), column, f"{role}_id")
    require_unique(renamed, f"{role}_id", path.name)
    return renamed


def event_table(path: Path, ids: IdColumns) -> pl.DataFrame:
    """A table of events as histories: ``user_id``, ``item_id``, ``at`` and ``rating`` where there are such, by time.

    Without a time events stay in the order of the file. Ratings that are no numbers are left out. Where a column says
    whether an item was clicked, only clicks count.

    Raises:
        PanelError: unreadable, no identifiers, a time that is none.
    """
    frame, file = read_any_table(path), path.name
    if not frame.height:
        raise PanelError(f"{file}: no rows")
    user = named_column(frame, file, "user", USER_NAMES, ids.user)
    item = named_column(frame, file, "item", [name for name in ITEM_NAMES if name != "id"], ids.item)
    frame = read_table(path, [user, item])
    clicked = find_column(frame, CLICK_NAMES)
    if clicked is not None and frame[clicked].dtype == pl.Boolean:
        frame = frame.filter(pl.col(clicked).fill_null(value=False))
    columns = [frame[user].alias("user_id"), frame[item].alias("item_id")]
    time, rating = find_column(frame, TIME_NAMES), find_column(frame, RATING_NAMES)
    if time is not None:
        columns.append(as_time(frame[time], file).alias("at"))
    if rating is not None and frame[rating].dtype.is_numeric():
        columns.append(frame[rating].cast(pl.Float64).alias("rating"))
    events = pl.DataFrame(columns)
    return events if time is None else events.sort("at", maintain_order=True)


def _with_id(frame: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    others = [other for other in frame.columns if other not in {column, name}]
    return pl.DataFrame([frame[column].alias(name), *(frame[other] for other in others)])
