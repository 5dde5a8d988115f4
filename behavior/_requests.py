# SPDX-License-Identifier: Apache-2.0
"""What recommenders are asked: the panel's requests under pseudonyms, in an order that says nothing.

Base and head get the same pseudonyms, seeds and order. Item ids stay the catalogue's, which a recommender must know.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from behavior._histories import told
from behavior._random import keyed
from confine import HistoryEvent, Request
from evidence import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from behavior.panels import Panel

Value = str | int | float | None

_PSEUDONYM_DIGITS = 16


@dataclass(frozen=True)
class Asked:
    """One request of the panel: whose it is (row of ``Panel.users``), which of the user's, and what is sent."""

    user: int
    context: str
    request: Request


def panel_requests(panel: Panel, *, known_users: bool) -> list[Asked]:
    """The panel's requests in the order of users and contexts.

    User ids are pseudonyms keyed by the panel's digest, which covers its edition; with ``known_users`` they are the
    panel's own, since such a recommender can serve nobody else. ``context`` is "" where a user has one request.
    """
    histories = _histories(panel)
    names = [column for column in panel.requests.columns if column != "user_id"]
    single = panel.requests.height == panel.requests["user_id"].n_unique()
    key = f"countersign/pseudonym/v1 {panel.digest}".encode()
    repeated: dict[tuple[int, str], int] = {}
    rows: list[tuple[int, str, str, dict[str, Value]]] = []
    for row in panel.requests.iter_rows(named=True):
        user = panel.user_rows[row["user_id"]]
        context = {name: _plain(row[name]) for name in names}
        label = "" if single else canonical(context).decode()
        again = repeated[user, label] = repeated.get((user, label), -1) + 1
        rows.append((user, f"{label} #{again}" if again else label, row["user_id"], context))
    rows.sort(key=lambda each: each[:2])
    asked = []
    for number, (user, label, user_id, context) in enumerate(rows):
        digest = hmac.new(key, f"{user_id}\n{label}".encode(), hashlib.sha256).digest()
        pseudonym = hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]
        request = Request(
            id=number,
            seed=int.from_bytes(digest[:6], "big"),
            user_id=user_id if known_users else pseudonym,
            history=histories.get(user_id, ()),
            context=context,
        )
        asked.append(Asked(user, label, request))
    return asked


def shuffled(asked: list[Asked], panel: Panel, purpose: str) -> list[Asked]:
    """The requests in an order keyed by panel and purpose: the same for base and head."""
    order = keyed(panel.toml.seed, panel.digest, "order", purpose).permutation(len(asked))
    return [asked[index] for index in order]


def _histories(panel: Panel) -> Mapping[str, tuple[HistoryEvent, ...]]:
    wanted = [name for name in ("at", "event") if name in panel.histories.columns]
    grouped = told(panel).group_by("user_id", maintain_order=True).agg("item_id", *wanted)
    histories = {}
    for row in grouped.iter_rows(named=True):
        absent = [None] * len(row["item_id"])
        events = zip(row["item_id"], row.get("at", absent), row.get("event", absent), strict=True)
        histories[row["user_id"]] = tuple(HistoryEvent(item, _text(at), _text(event)) for item, at, event in events)
    return histories


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _text(value)


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else str(value)


def request_count(panel: Panel) -> int:
    """How many requests the panel makes."""
    return int(panel.requests.select(pl.len()).item())
