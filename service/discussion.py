# SPDX-License-Identifier: Apache-2.0
"""The threads of a change as somebody may see them, each where it stands in the revision that is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, func, or_, select

from evidence import CountersignError
from service import judgement, progress, steps
from service.database import CommentRow, PersonRow, RevisionRow, ThreadRow
from service.placing import Commits, Places, Spot
from service.views import ThreadCounts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.context import Context
    from service.views import Person


@dataclass(frozen=True, slots=True)
class Comment:
    """One entry of a thread. ``kind`` is said, resolved or reopened; ``who`` a name, or the platform's.

    ``draft`` is one that nobody else sees; ``by_platform`` whether the platform wrote it.
    """

    id: int
    kind: str
    text: str
    who: str
    by_platform: bool
    at: datetime
    draft: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread with what of it may be seen, oldest first; there is always something.

    ``n`` is the revision it was begun on, ``begun`` where, ``quote`` that line's text. ``spot`` is where it stands in
    the revision that is looked at, None where it is outdated: the line is not there any more. ``draft`` is a thread
    that nobody else sees.
    """

    id: int
    n: int
    begun: Spot
    quote: str
    spot: Spot | None
    blocking: bool
    draft: bool
    resolved_at: datetime | None
    resolved_by: str
    comments: tuple[Comment, ...]

    @property
    def open(self) -> bool:
        """Whether it is published, and nobody has resolved it."""
        return not self.draft and self.resolved_at is None

    @property
    def drafts(self) -> int:
        """How many of its comments nobody else sees."""
        return sum(comment.draft for comment in self.comments)


def threads(context: Context, change_id: int, n: int, person: Person | None) -> tuple[Thread, ...]:
    """The threads of a change as seen from one revision: open and blocking first, then the open ones, then by age.

    Without a ``person``, as a platform sees them: nothing but what is published. Threads that were begun on a later
    revision are there too, and stand nowhere in this one.

    Raises:
        NotFoundError: there is no such revision.
    """
    row = judgement.find(context, change_id, n)
    with context.database.read() as session:
        rows = session.execute(
            select(ThreadRow, RevisionRow)
            .join(RevisionRow, RevisionRow.id == ThreadRow.revision_id)
            .where(ThreadRow.change_id == change_id)
            .order_by(ThreadRow.id)
        ).all()
        comments = _comments(session, change_id, person)
        names = _names(session, [thread.resolved_by for thread, _ in rows])
    seen = [(thread, begun) for thread, begun in rows if comments.get(thread.id)]
    spots = _spots(context, row, seen)
    found = [
        Thread(
            id=thread.id,
            n=begun.n,
            begun=_spot(thread),
            quote=thread.quote,
            spot=spots[thread.id],
            blocking=thread.blocking,
            draft=thread.published_at is None,
            resolved_at=thread.resolved_at,
            resolved_by=names.get(thread.resolved_by or "", ""),
            comments=tuple(comments[thread.id]),
        )
        for thread, begun in seen
    ]
    return tuple(sorted(found, key=lambda one: (one.resolved_at is not None, not one.blocking, one.id)))


def counts(context: Context, change_id: int) -> ThreadCounts:
    """How many of a change's published threads are open, and how many of those block it."""
    return many_counts(context, [change_id]).get(change_id, ThreadCounts())


def many_counts(context: Context, change_ids: Iterable[int]) -> dict[int, ThreadCounts]:
    """The same of several changes, without those on which nothing is published."""
    is_open = ThreadRow.resolved_at.is_(None)
    statement = (
        select(
            ThreadRow.change_id,
            func.count(),
            func.sum(case((is_open, 1), else_=0)),
            func.sum(case((is_open & ThreadRow.blocking.is_(True), 1), else_=0)),
        )
        .where(ThreadRow.change_id.in_(list(change_ids)), ThreadRow.published_at.is_not(None))
        .group_by(ThreadRow.change_id)
    )
    with context.database.read() as session:
        return {row[0]: ThreadCounts(*map(int, row[1:])) for row in session.execute(statement)}


def _comments(session: Session, change_id: int, person: Person | None) -> dict[int, list[Comment]]:
    """What of each thread may be seen: what is published, and one's own drafts."""
    published = CommentRow.published_at.is_not(None)
    visible = published if person is None else or_(published, CommentRow.person_id == person.id)
    rows = session.execute(
        select(CommentRow, PersonRow.name)
        .join(ThreadRow, ThreadRow.id == CommentRow.thread_id)
        .outerjoin(PersonRow, PersonRow.id == CommentRow.person_id)
        .where(ThreadRow.change_id == change_id, visible)
        .order_by(CommentRow.published_at.is_(None), CommentRow.published_at, CommentRow.id)
    )
    found: dict[int, list[Comment]] = {}
    for comment, name in rows:
        found.setdefault(comment.thread_id, []).append(
            Comment(
                id=comment.id,
                kind=comment.kind,
                text=comment.text,
                who=name if comment.platform is None else f"platform {comment.platform}",
                by_platform=comment.platform is not None,
                at=comment.published_at or comment.written_at,
                draft=comment.published_at is None,
            )
        )
    return found


def _names(session: Session, people: Iterable[str | None]) -> dict[str, str]:
    wanted = {person for person in people if person is not None}
    rows = session.execute(select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(wanted)))
    return {row.id: row.name for row in rows}


def _spot(thread: ThreadRow) -> Spot:
    return Spot(thread.path, "base" if thread.side == "base" else "head", thread.line)


def _spots(context: Context, row: RevisionRow, seen: list[tuple[ThreadRow, RevisionRow]]) -> dict[int, Spot | None]:
    """Where each thread stands in the revision of ``row``; the mirror is read only if one was begun on another."""
    found: dict[int, Spot | None] = {}
    elsewhere: list[tuple[ThreadRow, Commits]] = []
    for thread, begun in seen:
        if thread.path and begun.id != row.id:
            elsewhere.append((thread, Commits(begun.base_commit or "", begun.head_commit)))
        else:
            found[thread.id] = _spot(thread)
    found |= {thread.id: None for thread, _ in elsewhere}
    if not elsewhere or row.base_commit is None or row.diff_digest is None:
        return found
    commits = Commits(row.base_commit, row.head_commit)
    try:
        with steps.open_mirror(context, progress.job(context.database, row.id)) as repository:
            places = Places(repository)
            return found | {thread.id: places.now(_spot(thread), begun, commits) for thread, begun in elsewhere}
    except CountersignError:  # the mirror is gone: nobody can say where those lines are
        return found


def lines(context: Context, change_id: int, n: int, commits: Commits, spot: Spot) -> tuple[str, ...]:
    """The text of every line of a changed file on the spot's side.

    Raises:
        InputError: as `Places.lines`.
        NotFoundError: no such revision.
    """
    row = judgement.find(context, change_id, n)
    with steps.open_mirror(context, progress.job(context.database, row.id)) as repository:
        return Places(repository).lines(commits, spot)
