# SPDX-License-Identifier: Apache-2.0
"""The transparency log as the page lists it: what each entry says of itself, and where this server has the revision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from evidence import CountersignError, VerificationError, digest, parse_json
from service import trust
from service.database import RevisionRow, SignoffRow
from service.views import LogLine, LogView, WitnessView
from signoff import (
    BUILD_LEAF,
    CARRY_LEAF,
    STOP_LEAF,
    Envelope,
    open_cosignatures,
    read_build,
    read_carry,
    read_statement,
    read_stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.context import Context
    from signoff import Carry

MAX_LINES = 1000
MAX_SEARCHED = 20_000  # entries that one search looks through


def _build(payload: bytes) -> str:
    predicate = read_build(payload).predicate
    return f"build {predicate.number} by the lane {predicate.lane}: {predicate.change.repository}"


def _stop(payload: bytes) -> str:
    predicate = read_stop(payload).predicate
    return f"the lane {predicate.lane} has stopped: {predicate.reason}"


BY_DIGEST = {
    "evidence": "a piece of evidence, before it was signed for",
    "panel": "a commitment to a panel, before it was used",
    "key": "a signer's key, before it signed",
    "revocations": "a list of what is revoked",
    "roots": "an update of who counts, and by which keys",
    "trust": "policy and people, as they were found changed",
    "gate": "what a gate decided",
    "rollout": "what a platform says it rolled out",
    "incident": "an incident, or that one is settled",
}
_OF_LANES: dict[str, Callable[[bytes], str]] = {BUILD_LEAF: _build, STOP_LEAF: _stop}


def view(context: Context, *, before: int | None, limit: int, sought: str = "") -> LogView:
    """Entries below index ``before``, newest first, at most ``limit`` of them; an empty view before the first entry.

    With ``sought``, only those whose kind, digest or words hold it, whatever the case; at most `MAX_SEARCHED` entries
    are looked through at a time, and the view says where to go on.
    """
    if not (context.log / "checkpoint").exists():
        return LogView(0, "", ())
    reader = trust.log_reader(context)
    size = reader.size
    stop = size if before is None else max(0, min(before, size))
    wanted = sought.strip().casefold().removeprefix("sha256:")
    reach = MAX_SEARCHED if wanted else min(limit, MAX_LINES)
    found: list[LogLine] = []
    last = stop
    for index in range(stop - 1, max(-1, stop - 1 - reach), -1):
        line = _line(index, reader.entry(index))
        last = index
        if not wanted or wanted in f"{line.kind}\n{line.digest}\n{line.what}".casefold():
            found.append(line)
        if len(found) == min(limit, MAX_LINES):
            break
    where = _revisions(context, [line.index for line in found])
    lines = tuple(
        replace(line, change_id=place[0], n=place[1]) if (place := where.get(line.index)) else line for line in found
    )
    note = reader.checkpoint()
    witnesses, quorum = _witnessed(context, note)
    return LogView(
        size, note.decode("utf-8"), lines, last if last > 0 else None, stop - last if wanted else 0, witnesses, quorum
    )


def _witnessed(context: Context, note: bytes) -> tuple[tuple[WitnessView, ...], str]:
    """Who of the quorum has cosigned a checkpoint, and in a few words whether that is enough."""
    quorum = trust.roots(context).quorum
    if quorum is None:
        return (), ""
    try:
        cosigned = open_cosignatures(note, tuple(quorum.witnesses.values()))
        at = {one.key: one.at for one in cosigned}
    except VerificationError as error:
        return (), f"not complete: {error}"
    try:
        quorum.check(note)
        said = "complete"
    except VerificationError as error:
        said = f"not complete: {error}"
    views = tuple(WitnessView(name.decode(errors="replace"), at.get(key)) for name, key in quorum.witnesses.items())
    return views, said


def _carried(carry: Carry) -> str:
    who = ", ".join(one.reviewer for one in carry.predicate.carried)
    return f"votes of {who} carried over to {carry.revision}, which has the same trees and artifacts"


def _revisions(context: Context, indices: Sequence[int]) -> dict[int, tuple[int | None, int | None]]:
    with context.database.read() as session:
        rows = session.execute(
            select(SignoffRow.log_index, RevisionRow.change_id, RevisionRow.n)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(SignoffRow.log_index.in_(indices))
        )
        return {index: (change_id, n) for index, change_id, n in rows if index is not None}


def _line(index: int, entry: bytes) -> LogLine:
    """An entry is trusted as far as its log is: what cannot be read is shown by its digest."""
    try:
        document = parse_json(entry, f"log entry {index}")
        kind = str(document["type"])
        if "envelope" not in document:
            return LogLine(index, kind, str(document["digest"]), BY_DIGEST.get(kind, kind))
        payload = Envelope.from_json(document["envelope"]).payload
        if kind == CARRY_LEAF:
            return LogLine(index, kind, digest(payload), _carried(read_carry(payload)))
        if kind in _OF_LANES:
            return LogLine(index, kind, digest(payload), _OF_LANES[kind](payload))
        predicate = read_statement(payload).predicate
        what = f"{predicate.decision} by {predicate.reviewer.name} ({predicate.reviewer.organization})"
        return LogLine(index, kind, digest(payload), f"{what}: {predicate.change.repository}")
    except (CountersignError, KeyError, TypeError):
        return LogLine(index, "unknown", digest(entry), "an entry of a kind that this version does not know")
