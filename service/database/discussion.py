# SPDX-License-Identifier: Apache-2.0
"""The tables of what is said about a change: threads, and the comments in them. And somebody's views of the queue."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads it

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database.models import Base, RowId


class ThreadRow(Base):
    """Something that is discussed. ``path`` is empty for the change as a whole, ``line`` None for a whole file.

    It stands where it was begun: on a line of one side of one revision, whose text was ``quote``.
    """

    __tablename__ = "thread"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("change.id"), index=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    path: Mapped[str]
    side: Mapped[str] = mapped_column(String(4))
    line: Mapped[int | None]
    quote: Mapped[str]
    blocking: Mapped[bool]
    published_at: Mapped[datetime | None]  # none: its author alone sees it
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))


class CommentRow(Base):
    """One entry of a thread: ``said``, or that it was ``resolved`` or ``reopened``, by a person or by a platform."""

    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("thread.id"), index=True)
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"), index=True)
    platform: Mapped[str | None] = mapped_column(String(63), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str]
    written_at: Mapped[datetime]
    published_at: Mapped[datetime | None]


class SavedViewRow(Base):
    """A filter of the queue that somebody gave a name."""

    __tablename__ = "saved_view"

    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    query: Mapped[str]
