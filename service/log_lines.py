# SPDX-License-Identifier: Apache-2.0
"""The transparency log as the page lists it: what each entry says of itself, and where this server has the revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from evidence import CountersignError, digest, parse_json
from service import trust
from service.database import RevisionRow, SignoffRow
from service.views import LogLine, LogView
from signoff import (
    BUILD_LEAF,
    CARRY_LEAF,
    STOP_LEAF,
    Envelope,
    read_build,
    read_carry,
    read_statement,
    read_stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.context import Context
    from signoff import Carry

MAX_LINES = 1000


def _build(payload: bytes) -> str:
    predicate = read_build(payload).predicate
    return f"build {predicate.number} by the lane {predicate.lane}: {predicate.change.repository}"


def _stop(payload: bytes) -> str:
    predicate = read_stop(payload).predicate
    return f"the lane {predicate.lane} has stopped: {predicate.reason}"


_OF_LANES: dict[str, Callable[[bytes], str]] = {BUILD_LEAF: _build, STOP_LEAF: _stop}


def view(context: Context, *, before: int | None, limit: int) -> LogView:
    """Entries below index ``before``, newest first, at most ``limit`` of them; an empty view before the first entry."""
    if not (context.log / "checkpoint").exists():
        return LogView(0, "", ())
    reader = trust.log_reader(context)
    size = reader.size
    stop = size if before is None else max(0, min(before, size))
    indices = range(stop - 1, max(-1, stop - 1 - min(limit, MAX_LINES)), -1)
    where = _revisions(context, indices)
    lines = tuple(_line(index, reader.entry(index), where.get(index, (None, None))) for index in indices)
    return LogView(size, reader.checkpoint().decode("utf-8"), lines)


def _carried(carry: Carry) -> str:
    who = ", ".join(one.reviewer for one in carry.predicate.carried)
    return f"votes of {who} carried over to {carry.revision}, which has the same trees and artifacts"


def _revisions(context: Context, indices: range) -> dict[int, tuple[int | None, int | None]]:
    with context.database.read() as session:
        rows = session.execute(
            select(SignoffRow.log_index, RevisionRow.change_id, RevisionRow.n)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(SignoffRow.log_index.in_(indices))
        )
        return {index: (change_id, n) for index, change_id, n in rows if index is not None}


def _line(index: int, entry: bytes, where: tuple[int | None, int | None]) -> LogLine:
    """An entry is trusted as far as its log is: what cannot be read is shown by its digest."""
    try:
        document = parse_json(entry, f"log entry {index}")
        kind = str(document["type"])
        if "envelope" not in document:
            return LogLine(index, kind, str(document["digest"]), kind, *where)
        payload = Envelope.from_json(document["envelope"]).payload
        if kind == CARRY_LEAF:
            return LogLine(index, kind, digest(payload), _carried(read_carry(payload)), *where)
        if kind in _OF_LANES:
            return LogLine(index, kind, digest(payload), _OF_LANES[kind](payload), *where)
        predicate = read_statement(payload).predicate
        what = f"{predicate.decision} by {predicate.reviewer.name} ({predicate.reviewer.organization})"
        return LogLine(index, kind, digest(payload), f"{what}: {predicate.change.repository}", *where)
    except (CountersignError, KeyError, TypeError):
        return LogLine(index, "unknown", digest(entry), "an entry of a kind that this version does not know", *where)
