# SPDX-License-Identifier: Apache-2.0
"""Two snapshots of training data: base is read, then head with base's users known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside.batches import READ, WRITTEN, OtherTypeError, batches
from diffing.artifacts.inside.events import Snapshot, moved
from diffing.artifacts.inside.words import File, RefusedError, checked_name, in_a_line

if TYPE_CHECKING:
    from diffing.artifacts.inside.events import People

_NAMES = {
    "user": "user_id userid user uid account_id account viewer_id profile_id customer_id rater_id",
    "item": "item_id itemid item iid article_id post_id video_id clip_id note_id news_id product_id movie_id track_id",
    "source": "source outlet publisher source_id domain channel channel_id author_id author creator_id creator",
    "label": "label rating event action click clicked reward feedback event_type feedback_type",
    "time": "at timestamp time date ts created_at event_time datetime created_at_millis",
}
_BY_NAME = ("user", "item", "source")  # what is called by a name, even where that is made of digits


def compare(
    base: list[dict[str, str]],
    head: list[dict[str, str]],
    roles: dict[str, str],
    by: list[str],
    groups: dict[str, list[str]],
) -> dict[str, Any]:
    """Both sides, what only one has, and which column is taken for what.

    Raises:
        RefusedError: a file is no table, or has not the columns that are named.
    """
    first = _read(base, roles, by, groups, None)
    second = _read(head, roles, by, groups, first[0].users)
    told = [snapshot.told() for snapshot, _ in (first, second)]
    users = moved(first[0].users, second[0].users) if "user" in first[1] else None
    if first[1] != second[1]:
        raise RefusedError(f"the sides have other columns: {_words(first[1])}, then {_words(second[1])}; name them")
    return {"roles": first[1], "base": told[0], "head": told[1], "users": users}


def _read(
    files: list[dict[str, str]],
    roles: dict[str, str],
    by: list[str],
    groups: dict[str, list[str]],
    before: People | None,
) -> tuple[Snapshot, dict[str, str]]:
    """One side; from the start again, with one column more as text, where a CSV file asks for it."""
    texts: set[str] = set()
    while True:
        try:
            return _read_once([File(**listed) for listed in files], roles, by, groups, before, texts)
        except OtherTypeError as error:
            texts.add(error.column)


def _read_once(
    files: list[File],
    roles: dict[str, str],
    by: list[str],
    groups: dict[str, list[str]],
    before: People | None,
    texts: set[str],
) -> tuple[Snapshot, dict[str, str]]:
    snapshot, known = None, dict(roles)

    def as_text(names: list[str]) -> set[str]:
        taken = {**_guessed(names, {*roles.values(), *by}), **roles}
        return {*texts, *(taken[role] for role in _BY_NAME if role in taken)} & set(names)

    for file in files:
        if file.suffix not in READ:
            raise RefusedError(f"{file.name}: no Parquet, Arrow, CSV, TSV or JSON lines file")
        try:
            for batch in batches(file, as_text):
                if snapshot is None:
                    known = {**_guessed(batch.schema.names, {*roles.values(), *by}), **roles}
                    snapshot = Snapshot(_held(known, by, batch.schema.names), by, before, groups)
                snapshot.take(batch, written=file.suffix in WRITTEN)
        except OtherTypeError:
            raise
        except RefusedError as error:
            raise RefusedError(f"{file.name}: {error}") from error
        except UnicodeDecodeError as error:
            raise RefusedError(f"{file.name}: names that are no text: {in_a_line(error)}") from error
    if snapshot is None or not snapshot.rows:
        raise RefusedError(f"{files[0].name if files else 'a side'}: no rows: an empty snapshot says nothing")
    snapshot.users.settle()  # head asks whom base knew
    return snapshot, known


def _held(roles: dict[str, str], by: list[str], names: list[str]) -> dict[str, str]:
    """The roles, of which there is at least one: rows that nobody can tell apart would always pass."""
    if len({checked_name(name) for name in names}) != len(names):
        raise RefusedError("two columns of one name")
    if not roles and not by:
        listed = ", ".join(name[:60] for name in names[:10])
        raise RefusedError(f"no column is called as users, items, sources, labels or times are: name them ({listed})")
    return roles


def _guessed(names: list[str], taken: set[str]) -> dict[str, str]:
    """The first column of a known name for each role."""
    found = {}
    plain = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): name for name in reversed(names) if name not in taken}
    for role, usual in _NAMES.items():
        column = next((plain[name] for name in usual.split() if name in plain), None)
        if column is not None:
            found[role] = column
    return found


def _words(roles: dict[str, str]) -> str:
    return ", ".join(f"{role} {column}" for role, column in sorted(roles.items())) or "none"
