# SPDX-License-Identifier: Apache-2.0
"""What is said about a change: threads begun, answered, resolved; drafts kept from everybody else until published.

What is published is for the platform too, so a reviewer's page says so. A platform answers what is published, and can
neither begin, resolve nor reopen a thread.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, func, select

from evidence import ConflictError, InputError, NotFoundError, PermissionDeniedError, TooManyError
from service import judgement, marks, progress, steps
from service.arrivals import now
from service.database import CommentRow, RevisionRow, ThreadRow
from service.placing import Commits, Places, Spot

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.context import Context
    from service.views import Person

MAX_TEXT: Final = 4000
MOST_A_MINUTE: Final = 60  # by one person, or by one platform
MOST_A_CHANGE: Final = 2000
SAID, RESOLVED, REOPENED = "said", "resolved", "reopened"
_MINUTE = timedelta(minutes=1)


class Author(NamedTuple):
    """Who speaks: a person of the reviewer's, or a platform by its token."""

    person_id: str | None
    platform: str | None = None


def begin(
    context: Context,
    change_id: int,
    n: int,
    spot: Spot,
    *,
    text: str,
    person: Person,
    blocking: bool = False,
    draft: bool = True,
) -> int:
    """Begin a thread on a spot of a revision; returns its id.

    Raises:
        InputError: no text or too long a one, or a spot that the revision does not have.
        ConflictError: the revision is superseded, or was not compared yet.
        TooManyError: more than `MOST_A_MINUTE`, or `MOST_A_CHANGE`.
    """
    words = _words(text)
    row = judgement.find(context, change_id, n)
    marks.still_open(row)
    quote = _quote(context, row, spot)
    moment = now()
    with context.database.write() as session:
        _hold(session, change_id, Author(person.id), moment)
        published = None if draft else moment
        thread = ThreadRow(
            change_id=change_id,
            revision_id=row.id,
            path=spot.path,
            side=spot.side,
            line=spot.line,
            quote=quote,
            blocking=blocking,
            published_at=published,
        )
        session.add(thread)
        session.flush()
        _say(session, thread.id, Author(person.id), SAID, words, moment, published)
        return thread.id


def reply(context: Context, change_id: int, thread_id: int, *, text: str, author: Author, draft: bool = False) -> int:
    """Answer a thread; returns the comment's id. In a thread that is a draft, so is what is added.

    Raises:
        NotFoundError: no such thread, or none that the author may see.
        InputError, TooManyError: as `begin`.
    """
    words = _words(text)
    moment = now()
    with context.database.write() as session:
        thread = _thread(session, change_id, thread_id, author)
        _hold(session, change_id, author, moment)
        hidden = draft or thread.published_at is None
        return _say(session, thread.id, author, SAID, words, moment, None if hidden else moment)


def settle(context: Context, change_id: int, thread_id: int, *, resolved: bool, person: Person, text: str = "") -> None:
    """Resolve a published thread, or reopen it, at once; who and when stays in it.

    Raises:
        NotFoundError: no such thread.
        ConflictError: it is resolved, or open, already.
        PermissionDeniedError: a blocking thread, resolved by somebody who had a hand in the change.
        InputError, TooManyError: as `begin`.
    """
    words = _words(text) if text.strip() else ""
    if resolved and person.id in judgement.makers(context, change_id):
        raise PermissionDeniedError(f"{person.id} had a hand in this change: somebody else resolves its threads")
    moment = now()
    author = Author(person.id)
    with context.database.write() as session:
        thread = _thread(session, change_id, thread_id, author)
        if thread.published_at is None:
            raise ConflictError("a draft is neither open nor resolved: publish it, or discard it")
        if (thread.resolved_at is not None) is resolved:
            raise ConflictError(f"the thread is {'resolved' if resolved else 'open'} already: reload the page")
        _hold(session, change_id, author, moment)
        thread.resolved_at, thread.resolved_by = (moment, person.id) if resolved else (None, None)
        _say(session, thread.id, author, RESOLVED if resolved else REOPENED, words, moment, moment)


def revise(context: Context, change_id: int, comment_id: int, *, text: str, person: Person) -> None:
    """Write a draft anew. NotFoundError if it is nobody's, or somebody else's, or published; InputError as `begin`."""
    words = _words(text)
    with context.database.write() as session:
        comment = _draft(session, change_id, comment_id, person)
        comment.text, comment.written_at = words, now()


def discard(context: Context, change_id: int, comment_id: int, *, person: Person) -> None:
    """Throw a draft away, and its thread if nothing else is in it. NotFoundError as `revise`."""
    with context.database.write() as session:
        comment = _draft(session, change_id, comment_id, person)
        thread_id = comment.thread_id
        session.delete(comment)
        session.flush()
        if session.scalar(select(func.count()).where(CommentRow.thread_id == thread_id)) == 0:
            session.execute(delete(ThreadRow).where(ThreadRow.id == thread_id))


def publish(context: Context, change_id: int, n: int, *, person: Person, text: str = "") -> int:
    """Publish all drafts of a person on a change at once; returns how many comments that were.

    With a text, which speaks of the change as a whole, that is published with them.

    Raises:
        ConflictError: there is nothing to publish, or with a text as `begin`.
        InputError, TooManyError: as `begin`.
    """
    if text.strip():
        begin(context, change_id, n, Spot(), text=text, person=person, draft=True)
    moment = now()
    with context.database.write() as session:
        threads = select(ThreadRow.id).where(ThreadRow.change_id == change_id)
        drafts = session.scalars(
            select(CommentRow).where(
                CommentRow.thread_id.in_(threads),
                CommentRow.person_id == person.id,
                CommentRow.published_at.is_(None),
            )
        ).all()
        if not drafts:
            raise ConflictError("there is no draft of yours to publish, and no answer")
        for draft in drafts:
            draft.published_at = moment
            thread = session.get_one(ThreadRow, draft.thread_id)
            thread.published_at = thread.published_at or moment
    return len(drafts)


def _words(text: str) -> str:
    words = text.replace("\r\n", "\n").strip()
    if not words or len(words) > MAX_TEXT:
        raise InputError(f"a comment is a text of 1 to {MAX_TEXT} characters")
    return words


def _quote(context: Context, row: RevisionRow, spot: Spot) -> str:
    """The text of the spot's line; empty of a file or the change."""
    if not spot.path:
        if spot.line is not None:
            raise InputError("a line is one of a file: say of which")
        return ""
    if row.diff_digest is None or row.base_commit is None:
        raise ConflictError(f"revision {row.n} is {row.state}: it has no files to speak of yet")
    if spot.path not in {file["path"] for file in context.store.get_json(row.diff_digest)["files"]}:
        raise InputError(f"revision {row.n} does not touch {spot.path[:200]}")
    if spot.line is None:
        return ""
    with steps.open_mirror(context, progress.job(context.database, row.id)) as repository:
        return Places(repository).quote(Commits(row.base_commit, row.head_commit), spot)


def _hold(session: Session, change_id: int, author: Author, moment: datetime) -> None:
    """Refuse what is more than anybody writes."""
    mine = (
        CommentRow.person_id == author.person_id
        if author.person_id is not None
        else CommentRow.platform == author.platform
    )
    lately = session.scalar(select(func.count()).where(mine, CommentRow.written_at > moment - _MINUTE))
    if (lately or 0) >= MOST_A_MINUTE:
        raise TooManyError(f"{MOST_A_MINUTE} comments were written within a minute: wait one")
    threads = select(ThreadRow.id).where(ThreadRow.change_id == change_id)
    if (session.scalar(select(func.count()).where(CommentRow.thread_id.in_(threads))) or 0) >= MOST_A_CHANGE:
        raise TooManyError(f"there are {MOST_A_CHANGE} comments on this change, which is as many as there can be")


def _say(
    session: Session,
    thread_id: int,
    author: Author,
    kind: str,
    text: str,
    moment: datetime,
    published_at: datetime | None,
) -> int:
    comment = CommentRow(
        thread_id=thread_id,
        person_id=author.person_id,
        platform=author.platform,
        kind=kind,
        text=text,
        written_at=moment,
        published_at=published_at,
    )
    session.add(comment)
    session.flush()
    return comment.id


def _thread(session: Session, change_id: int, thread_id: int, author: Author) -> ThreadRow:
    """A thread of that change that the author may see; somebody else's draft is none."""
    thread = session.get(ThreadRow, thread_id)
    if thread is not None and thread.change_id == change_id:
        if thread.published_at is not None:
            return thread
        begun = select(CommentRow.person_id).where(CommentRow.thread_id == thread.id).order_by(CommentRow.id).limit(1)
        if author.person_id is not None and session.scalar(begun) == author.person_id:
            return thread
    raise NotFoundError(f"change {change_id} has no thread {thread_id}")


def _draft(session: Session, change_id: int, comment_id: int, person: Person) -> CommentRow:
    comment = session.get(CommentRow, comment_id)
    if comment is not None and comment.person_id == person.id and comment.published_at is None:
        thread = session.get_one(ThreadRow, comment.thread_id)
        if thread.change_id == change_id:
            return comment
    raise NotFoundError(f"change {change_id} has no draft {comment_id} of yours")
