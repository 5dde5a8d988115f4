# SPDX-License-Identifier: Apache-2.0
"""The tables. Documents are in the evidence store and appear here by digest only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from service.life import State

RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by INTEGER PRIMARY KEY only


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Refuse a moment without a zone; store it in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002 - as above
        """Give the zone back."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of the tables; constraints are named, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime(), str: Text()}


class PersonRow(Base):
    """Somebody who may sign in."""

    __tablename__ = "person"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str]
    organization: Mapped[str]
    role: Mapped[str] = mapped_column(String(32))


class SignInLink(Base):
    """A link that signs one person in, once. Only the token's SHA-256 is kept."""

    __tablename__ = "sign_in_link"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Session(Base):
    """A signed-in browser. Only the cookie's SHA-256 is kept."""

    __tablename__ = "session"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Delivery(Base):
    """A webhook or submission that was accepted; its id and its body are each taken once."""

    __tablename__ = "delivery"
    __table_args__ = (Unique("platform", "source", "delivery_id"), Unique("platform", "source", "event", "body_sha256"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    platform: Mapped[str] = mapped_column(String(63))
    source: Mapped[str] = mapped_column(String(16))
    event: Mapped[str] = mapped_column(String(64))
    delivery_id: Mapped[str] = mapped_column(String(200))
    body_sha256: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime]
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))


class Change(Base):
    """A proposal. ``key`` names it within its repository: ``pull/12``, ``refs/heads/main``, ``submit/…``."""

    __tablename__ = "change"
    __table_args__ = (Unique("platform", "repository", "key"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    platform: Mapped[str] = mapped_column(String(63))
    repository: Mapped[str] = mapped_column(String(400))
    key: Mapped[str] = mapped_column(String(400))
    number: Mapped[int | None]
    title: Mapped[str]
    description: Mapped[str]
    url: Mapped[str | None]
    author: Mapped[str]
    target_ref: Mapped[str]
    opened_at: Mapped[datetime]


class ClosedRow(Base):
    """A change that its code host says is ``closed`` or ``merged``; gone once it is proposed again."""

    __tablename__ = "closed"

    change_id: Mapped[int] = mapped_column(ForeignKey("change.id"), primary_key=True, autoincrement=False)
    how: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]


class RevisionRow(Base):
    """One revision of a change and how far its review is. Evidence by digest; ``digest`` names the manifest too."""

    __tablename__ = "revision"
    __table_args__ = (
        Unique("change_id", "n"),
        Index("ix_revision_state", "state"),
        Index("ix_revision_undispatched", "dispatched_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("change.id"))
    n: Mapped[int]
    head_commit: Mapped[str] = mapped_column(String(64))
    base_hint: Mapped[str | None] = mapped_column(String(64))
    base_commit: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[State] = mapped_column(String(16))
    verdict: Mapped[str | None] = mapped_column(String(16))
    sent_at: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    since: Mapped[datetime]
    workflow_id: Mapped[str] = mapped_column(String(700), unique=True)
    dispatched_at: Mapped[datetime | None]
    digest: Mapped[str | None] = mapped_column(String(71))
    diff_digest: Mapped[str | None] = mapped_column(String(71))
    artifacts_digest: Mapped[str | None] = mapped_column(String(71))
    base_artifacts_digest: Mapped[str | None] = mapped_column(String(71))
    audit_digest: Mapped[str | None] = mapped_column(String(71))
    public_digest: Mapped[str | None] = mapped_column(String(71))
    people_digest: Mapped[str | None] = mapped_column(String(71))
    report_digest: Mapped[str | None] = mapped_column(String(71))
    findings: Mapped[int] = mapped_column(default=0)
    error_class: Mapped[str | None] = mapped_column(String(64))
    error_public: Mapped[str | None]
    error_detail: Mapped[str | None]
    status_posted: Mapped[str | None]
    approved: Mapped[bool] = mapped_column(default=True)  # false while a fork's change waits to be let through


class DeploymentRow(Base):
    """A code host's question whether a commit may be deployed; ``run`` is where it waits for the answer."""

    __tablename__ = "deployment"
    __table_args__ = (Unique("platform", "repository", "run", "environment"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    platform: Mapped[str] = mapped_column(String(63))
    repository: Mapped[str] = mapped_column(String(400))
    environment: Mapped[str] = mapped_column(String(400))
    head_commit: Mapped[str] = mapped_column(String(64))
    run: Mapped[int] = mapped_column(BigInteger)
    asked_at: Mapped[datetime]
    answer_sent: Mapped[str | None] = mapped_column(String(16))


class UploadRow(Base):
    """An artifact that is handed in over HTTP; in place once done. ``sha256`` is what it is to be, then is."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    platform: Mapped[str] = mapped_column(String(63), index=True)
    repository: Mapped[str] = mapped_column(String(400))
    commit: Mapped[str] = mapped_column(String(64))
    path: Mapped[str]
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class EventRow(Base):
    """One line of a revision's timeline."""

    __tablename__ = "event"
    __table_args__ = (Unique("revision_id", "what"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), index=True)
    at: Mapped[datetime]
    what: Mapped[str]


class AnswerRow(Base):
    """A reviewer's answer to a finding of a revision."""

    __tablename__ = "answer"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), primary_key=True)
    finding_id: Mapped[str] = mapped_column(String(71), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    text: Mapped[str]
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime]
    serious: Mapped[bool] = mapped_column(default=True)  # to a finding that the queue counts, see `service.steps`


class ViewedRow(Base):
    """A file that somebody marked as viewed."""

    __tablename__ = "viewed"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    at: Mapped[datetime]


class StatementRow(Base):
    """The exact bytes that somebody was asked to sign."""

    __tablename__ = "statement"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class SignoffRow(Base):
    """A verified sign-off and where it is in the log."""

    __tablename__ = "signoff"

    nonce: Mapped[str] = mapped_column(ForeignKey("statement.nonce"), primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    decision: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(200))
    payload_digest: Mapped[str] = mapped_column(String(71))
    envelope_digest: Mapped[str] = mapped_column(String(71))
    log_index: Mapped[int | None]
    at: Mapped[datetime]
    superseded: Mapped[bool] = mapped_column(default=False)
    expedited: Mapped[bool | None] = mapped_column(index=True)  # none: handed in before this was kept


class CarriedRow(Base):
    """A sign-off on an earlier revision that counts for this one too: by which envelope, and where that is logged."""

    __tablename__ = "carried"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), primary_key=True)
    nonce: Mapped[str] = mapped_column(ForeignKey("signoff.nonce"), primary_key=True)
    envelope_digest: Mapped[str] = mapped_column(String(71))
    log_index: Mapped[int]


class DecisionRow(Base):
    """A gate's decision that was taken in, by the digest of its envelope."""

    __tablename__ = "decision"

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    platform: Mapped[str] = mapped_column(String(63))
    gate: Mapped[str] = mapped_column(String(1000))
    repository: Mapped[str] = mapped_column(String(1000))
    revision: Mapped[str | None] = mapped_column(String(71))
    head_commit: Mapped[str | None] = mapped_column(String(64), index=True)
    passed: Mapped[bool]
    decided_at: Mapped[datetime]
    taken_at: Mapped[datetime]
    answered_at: Mapped[datetime | None] = mapped_column(index=True)  # when its rollout was found
    log_index: Mapped[int | None]  # none: not logged yet, or of before it was kept, see `service.later_reviews`
    review_by: Mapped[datetime | None] = mapped_column(index=True)  # where glass was broken


class RolloutRow(Base):
    """A rollout that a platform reported, by the digest of what it said."""

    __tablename__ = "rollout"
    __table_args__ = (Index("ix_rollout_platform_repository", "platform", "repository"),)

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    platform: Mapped[str] = mapped_column(String(63))
    repository: Mapped[str] = mapped_column(String(400))
    revision: Mapped[str | None] = mapped_column(String(71))
    head_commit: Mapped[str] = mapped_column(String(64), index=True)
    rolled_out_at: Mapped[datetime]
    reported_at: Mapped[datetime] = mapped_column(index=True)
    answered_at: Mapped[datetime | None] = mapped_column(index=True)  # when its decision was found
    log_index: Mapped[int | None] = mapped_column(index=True)  # none: not logged yet, or of before it was kept


class IncidentRow(Base):
    """Something that must not be: what it is about is a decision or a rollout, by its digest."""

    __tablename__ = "incident"

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(71), primary_key=True)
    detail: Mapped[str]
    log_index: Mapped[int | None]  # none: not logged yet
    opened_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class PasskeyRow(Base):
    """A passkey that somebody enrolled. It counts once the roots name its key."""

    __tablename__ = "passkey"

    credential_id: Mapped[str] = mapped_column(String(1400), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    public: Mapped[str]
    synced: Mapped[bool]
    authenticator: Mapped[str] = mapped_column(String(36))
    attestation: Mapped[str] = mapped_column(String(32))
    attestation_digest: Mapped[str] = mapped_column(String(71))
    counter: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class PasskeyRequest(Base):
    """A challenge to enrol a passkey, for one person, once."""

    __tablename__ = "passkey_request"

    challenge: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class MakerRow(Base):
    """Somebody who had a hand in a change, as its code host or submitter said: pusher, launcher, supplier."""

    __tablename__ = "maker"

    change_id: Mapped[int] = mapped_column(ForeignKey("change.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    email: Mapped[str] = mapped_column(String(400), primary_key=True)


class RecipeRow(Base):
    """A recipe that hangs on a reviewed revision; its document is in the store. Stopped once it has a stop."""

    __tablename__ = "recipe"

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), index=True)
    created_at: Mapped[datetime]
    stop_digest: Mapped[str | None] = mapped_column(String(71))
    stop_reason: Mapped[str | None]
    stop_index: Mapped[int | None]


class BuildRow(Base):
    """A revision that is a build under a recipe: countersigned, or why it is outside."""

    __tablename__ = "build"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), primary_key=True, autoincrement=False)
    recipe: Mapped[str] = mapped_column(ForeignKey("recipe.digest"), index=True)
    number: Mapped[int | None]
    signed_at: Mapped[datetime | None]
    measures_digest: Mapped[str | None] = mapped_column(String(71))
    payload_digest: Mapped[str | None] = mapped_column(String(71))
    envelope_digest: Mapped[str | None] = mapped_column(String(71))
    log_index: Mapped[int | None]
    outside: Mapped[str | None]
