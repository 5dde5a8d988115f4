# SPDX-License-Identifier: Apache-2.0
"""The queue as an attention set: whose turn each change is, why, and since when, as one person or a platform has it.

What a revision's state says comes first. Of one that is ready, whoever has something to do is named in this order: the
reviewer while findings have no answer; the reviewer again once the platform has answered every thread that blocks; the
author while a thread blocks or a finding must change; another reviewer once oneself has signed; else the reviewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import case, func, select

from service import reading
from service.database import AnswerRow, CommentRow, RevisionRow, SignoffRow, ThreadRow
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.database import Database
    from service.views import Person, QueueRow, Turn

TURNS: Final[tuple[Turn, ...]] = ("reviewer", "others", "service", "author", "nobody")
AGEING: Final = timedelta(days=2)
LONG: Final = timedelta(days=7)

Age = Literal["new", "ageing", "long"]


class _Said(NamedTuple):
    """What open threads that block a change come to: how many, whether all are answered, and since when it is so."""

    blocking: int
    answered: bool
    at: datetime


class _Noted(NamedTuple):
    """How many findings of a revision its author must change, how many of those the queue counts, and since when."""

    number: int
    serious: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes somebody wants to see; empty fields let everything through. ``days`` is how long they wait."""

    text: str = ""
    turn: str = ""
    verdict: str = ""
    repository: str = ""
    days: int = 0

    def lets(self, row: QueueRow, moment: datetime) -> bool:
        """Whether a row is one of them. ``text`` is looked for in title, repository, author and number."""
        said = f"{row.title}\n{row.repository}\n{row.author}\n#{row.number}".casefold()
        return (
            self.text.casefold() in said
            and self.turn in {"", row.whose_turn}
            and self.verdict in {"", row.verdict.value if row.verdict is not None else "none"}
            and self.repository in {"", row.repository}
            and (not self.days or (row.whose_turn != "nobody" and moment - row.since >= timedelta(days=self.days)))
        )

    @property
    def query(self) -> str:
        """The filter as a query, in one form alone; empty where it lets everything through."""
        named = {"text": self.text, "turn": self.turn, "verdict": self.verdict, "repository": self.repository}
        given = {name: value for name, value in named.items() if value}
        return urlencode({**given, **({"days": self.days} if self.days else {})})


def queue(database: Database, *, person: Person | None = None, platform: str | None = None) -> list[QueueRow]:
    """Every change by its latest revision: whose turn it is first, then oldest first.

    Args:
        database: where they are.
        person: who looks; what they have signed waits for others. Without one nobody in particular does.
        platform: the one whose changes are wanted; all without it.
    """
    rows = reading.queue(database, platform=platform)
    ready = [row for row in rows if row.state is State.READY and row.whose_turn == "reviewer"]
    with database.read() as session:
        said = _said(session, [row.change_id for row in ready])
        noted = _noted(session, [row.change_id for row in ready])
        signed = _signed(session, person.id) if person is not None else set()
    turned = {
        row.change_id: _turned(
            row,
            said.get(row.change_id),
            noted.get((row.change_id, row.revision)),
            signed=(row.change_id, row.revision) in signed,
        )
        for row in ready
    }
    found = [turned.get(row.change_id, row) for row in rows]
    return sorted(found, key=lambda row: (TURNS.index(row.whose_turn), row.since, row.change_id))


def age(row: QueueRow, moment: datetime) -> Age:
    """Whether a change has waited so long that it stands out; what is done does not wait."""
    waited = moment - row.since
    if row.whose_turn == "nobody" or waited < AGEING:
        return "new"
    return "long" if waited >= LONG else "ageing"


def _turned(row: QueueRow, said: _Said | None, noted: _Noted | None, *, signed: bool) -> QueueRow:
    unanswered = max(0, row.open_findings - (noted.serious if noted else 0))
    if unanswered:
        return replace(row, why=f"{_number(unanswered, 'finding')} to answer")
    if said is not None and said.answered:
        return replace(row, why=f"the platform answered {_number(said.blocking, 'blocking thread')}", since=said.at)
    if said is not None or noted is not None:
        parts = [f"{_number(noted.number, 'finding')} must change"] if noted is not None else []
        parts += [f"{_number(said.blocking, 'blocking thread')} to answer"] if said is not None else []
        since = max(one.at for one in (said, noted) if one is not None)
        return replace(row, whose_turn="author", why=", ".join(parts), since=since)
    if signed:
        return replace(row, whose_turn="others", why="you have signed; the policy asks for more")
    return row


def _said(session: Session, change_ids: Iterable[int]) -> dict[int, _Said]:
    """Of each change with open threads that block it. Who spoke last counts by when it was published."""
    rows = session.execute(
        select(ThreadRow.change_id, ThreadRow.id, CommentRow.platform, CommentRow.published_at)
        .join(CommentRow, CommentRow.thread_id == ThreadRow.id)
        .where(
            ThreadRow.change_id.in_(list(change_ids)),
            ThreadRow.blocking.is_(True),
            ThreadRow.published_at.is_not(None),
            ThreadRow.resolved_at.is_(None),
            CommentRow.published_at.is_not(None),
        )
        .order_by(CommentRow.published_at, CommentRow.id)
    )
    last: dict[int, dict[int, tuple[bool, datetime]]] = {}
    for change_id, thread_id, platform, at in rows:
        if at is not None:
            last.setdefault(change_id, {})[thread_id] = (platform is not None, at)
    return {
        change_id: _Said(len(found), all(by for by, _ in found.values()), max(at for _, at in found.values()))
        for change_id, found in last.items()
    }


def _noted(session: Session, change_ids: Iterable[int]) -> dict[tuple[int, int], _Noted]:
    """By change and revision: what a reviewer said must change."""
    rows = session.execute(
        select(
            RevisionRow.change_id,
            RevisionRow.n,
            func.count(),
            func.sum(case((AnswerRow.serious, 1), else_=0)),
            func.max(AnswerRow.at),
        )
        .join(AnswerRow, AnswerRow.revision_id == RevisionRow.id)
        .where(RevisionRow.change_id.in_(list(change_ids)), AnswerRow.kind == "must-change")
        .group_by(RevisionRow.change_id, RevisionRow.n)
    )
    return {(change_id, n): _Noted(number, int(serious), at) for change_id, n, number, serious, at in rows}


def _signed(session: Session, person_id: str) -> set[tuple[int, int]]:
    rows = session.execute(
        select(RevisionRow.change_id, RevisionRow.n)
        .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
        .where(SignoffRow.person_id == person_id, SignoffRow.superseded.is_(False), SignoffRow.log_index.is_not(None))
    )
    return {(change_id, n) for change_id, n in rows}


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
