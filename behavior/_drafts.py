# SPDX-License-Identifier: Apache-2.0
"""Panels under construction: tables made ready, written whole or not at all, and only if they read as a panel."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from behavior._proposals import panel_toml
from behavior.panels import Panel, read_panel
from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME_LIMIT = 200


@dataclass(frozen=True)
class Draft:
    """Tables of a panel to be: ids in ``item_id`` and ``user_id``. ``notes`` end as comments of ``panel.toml``."""

    name: str
    items: pl.DataFrame
    users: pl.DataFrame
    histories: pl.DataFrame
    k: int = 20
    notes: Sequence[str] = field(default_factory=list)


def require_absent(into: Path) -> None:
    """Raise PanelError where something is at ``into`` already, or where its folder is not there."""
    if into.exists() or into.is_symlink():
        raise PanelError(f"{into}: is there already, and nothing is overwritten; name another folder")
    if not into.parent.is_dir():
        raise PanelError(f"{into.parent}: no such folder")


def write_draft(draft: Draft, into: Path) -> Panel:
    """Write the draft as a panel directory and return it as read back.

    Raises:
        PanelError: ``into`` is there already, or what was written is not a valid panel; nothing is left then.
    """
    require_absent(into)
    items, notes = _usable(draft.items, "items")
    users, more = _usable(draft.users, "users")
    histories, rest = _usable(draft.histories, "histories")
    k = max(1, min(draft.k, items.height))
    with tempfile.TemporaryDirectory(prefix=".panel-", dir=into.parent) as folder:
        made = Path(folder) / "panel"
        made.mkdir()
        text = panel_toml(draft.name, k, items, users, [*draft.notes, *notes, *more, *rest])
        (made / "panel.toml").write_text(text, encoding="utf-8")
        for stem, table in (("items", items), ("users", users), ("histories", histories)):
            table.write_parquet(made / f"{stem}.parquet")
        panel = read_panel(made)
        require_absent(into)
        made.rename(into)
    return panel


def _usable(table: pl.DataFrame, stem: str) -> tuple[pl.DataFrame, list[str]]:
    """The table without the columns a panel cannot hold, and a line for each of those."""
    left = [column for column in table.columns if not _holds(column, table[column].dtype)]
    notes = [f"{stem}: column {column[:60]!r} is left out: {_why(column, table[column].dtype)}" for column in left]
    kept = pl.DataFrame([values for values in table if values.name not in left])
    return kept, [" ".join("".join(map(_printable, note)).split()) for note in notes]


def _holds(column: str, kind: pl.DataType) -> bool:
    plain = kind in {pl.String, pl.Boolean, pl.Date} or kind.is_integer() or kind.is_float()
    timed = isinstance(kind, pl.Datetime | pl.Categorical | pl.Enum)
    return _can_be_written(column) and (plain or timed)


def _why(column: str, kind: pl.DataType) -> str:
    if not _can_be_written(column):
        return "its name cannot be written"
    return f"{kind} is no text, number, truth value, date or time"


def _can_be_written(column: str) -> bool:
    """Whether ``panel.toml`` can name it; polars takes ``*`` and ``^…$`` for patterns."""
    pattern = column == "*" or (column.startswith("^") and column.endswith("$"))
    return 0 < len(column) <= _NAME_LIMIT and column.isprintable() and not pattern


def _printable(character: str) -> str:
    return character if character.isprintable() else " "
