# SPDX-License-Identifier: Apache-2.0
"""Two snapshots of training data: base is read, then head with base's users known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside.events import Snapshot, batches, moved
from diffing.artifacts.inside.words import File, RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.events import People

_NAMES = {
    "user": "user_id userid user uid account_id account viewer_id profile_id customer_id rater_id",
    "item": "item_id itemid item iid article_id post_id video_id clip_id note_id news_id product_id movie_id track_id",
    "source": "source outlet publisher source_id domain channel channel_id author_id author creator_id creator",
    "label": "label rating event action click clicked reward feedback event_type feedback_type",
    "time": "at timestamp time date ts created_at event_time datetime created_at_millis",
}
_READ = (".parquet", ".arrow", ".feather", ".ipc", ".csv", ".tsv")


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
    snapshot, known = None, dict(roles)
    for listed in files:
        file = File(**listed)
        if file.suffix not in _READ:
            raise RefusedError(f"{file.name}: no Parquet, Arrow, CSV or TSV file")
        try:
            for batch in batches(file):
                if snapshot is None:
                    known = {**_guessed(batch.schema.names, set(roles.values()) | set(by)), **roles}
                    snapshot = Snapshot(known, by, before, groups)
                snapshot.take(batch)
        except RefusedError as error:
            raise RefusedError(f"{file.name}: {error}") from error
    if snapshot is None or not snapshot.rows:
        raise RefusedError(f"{files[0]['name'] if files else 'a side'}: no rows: an empty snapshot says nothing")
    snapshot.users.settle()  # head asks whom base knew
    return snapshot, known


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
