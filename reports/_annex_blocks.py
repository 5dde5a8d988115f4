# SPDX-License-Identifier: Apache-2.0
"""Blocks that entries of an annex are made of: a paragraph, a list, a table; all of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from evidence import Json


def text(words: str) -> dict[str, Json]:
    """A paragraph."""
    return {"kind": "text", "text": words}


def listed(items: Iterable[str], before: str = "") -> list[dict[str, Json]]:
    """A list with a line before it; no block where there is nothing to list."""
    found = list(items)
    return [{"kind": "list", "text": before, "items": found}] if found else []


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], before: str = "") -> list[dict[str, Json]]:
    """A table with a line before it; no block where there is no row."""
    found = [list(row) for row in rows]
    return [{"kind": "table", "text": before, "columns": list(columns), "rows": found}] if found else []


def lines(items: Iterable[str]) -> str | None:
    """One item a line, or None where there is none."""
    return "\n".join(items) or None


def span(first: date | None, last: date | None) -> str | None:
    """From a day until another; None while one is missing."""
    return None if first is None or last is None else f"{first.isoformat()} until {last.isoformat()}"
