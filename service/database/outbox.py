# SPDX-License-Identifier: Apache-2.0
"""The outbox's table: what others are to be told, written with what it tells of."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads the annotations

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database.models import Base


class OutboxRow(Base):
    """One message to one destination. ``state`` is waiting, delivered, replaced by a newer one, or dead."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_state_due_at", "state", "due_at"),
        Index("ix_outbox_destination_subject", "destination", "subject"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(64), unique=True)  # the same at every attempt
    destination: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(700))
    event: Mapped[str] = mapped_column(String(64))
    body: Mapped[str]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16))
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]  # of the last attempt that failed
