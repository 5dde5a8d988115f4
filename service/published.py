# SPDX-License-Identifier: Apache-2.0
"""What everybody may see of a signed revision: its sign-offs as the log has them, and what was found, coarsely.

The statements are in the log, which is public as it is. What is told of the audit beyond them is less than the
reviewer has: slices that the panel makes public, a ratio to one decimal over everybody, no cohort by name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import or_, select

from evidence import NotFoundError, Verdict, sha256_hex
from service import ledger, trust
from service.arrivals import now
from service.database import CarriedRow, Change, RevisionRow, SignoffRow
from signoff import Envelope, RevokedKind, key_sha256, read_statement, signoff_leaf, verify_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from service.context import Context
    from signoff import Predicate, PublicKey, Revoked, Statement

LEAST_PEOPLE = 100  # of a panel; what is said of fewer could be told of each
_LISTED = 100
_FAILING = ("amplified", "suppressed")


@dataclass(frozen=True, slots=True)
class PublishedSignoff:
    """One sign-off. ``standing`` says in a word whether it counts, ``said`` is the statement's own text."""

    index: int
    said: Predicate
    signed_at: datetime
    expires_at: datetime
    standing: str
    why: str
    other: str  # the revision's digest that it was given to, where that is another


@dataclass(frozen=True, slots=True)
class PublishedSlice:
    """What happened to one public slice, in words."""

    name: str
    direction: str
    words: str


@dataclass(frozen=True, slots=True)
class Published:
    """One signed revision as everybody may see it."""

    sha256: str
    repository: str
    target: str
    base_commit: str
    head_commit: str
    verdict: Verdict | None
    slices: tuple[PublishedSlice, ...]
    rest: str
    signoffs: tuple[PublishedSignoff, ...]
    roots: str  # the SHA-256 of the roots in force


@dataclass(frozen=True, slots=True)
class PublishedLine:
    """One signed revision in the list, by its last sign-off."""

    sha256: str
    repository: str
    decision: str
    who: str
    at: datetime
    verdict: Verdict | None


class _Given(NamedTuple):
    envelope: Envelope
    statement: Statement
    key: PublicKey
    place: int
    outdated: bool


def listed(context: Context, *, limit: int = _LISTED) -> tuple[PublishedLine, ...]:
    """The revisions that were signed last, newest first."""
    with context.database.read() as session:
        rows = session.execute(
            select(SignoffRow, RevisionRow, Change.repository)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(SignoffRow.log_index.is_not(None), RevisionRow.digest.is_not(None))
            .order_by(SignoffRow.log_index.desc())
            .limit(limit * 4)
        ).all()
    found: dict[str, PublishedLine] = {}
    for signoff, revision, repository in rows:
        sha256 = (revision.digest or "").removeprefix("sha256:")
        if sha256 not in found and len(found) < limit:
            said = read_statement(Envelope.read(context.store.get(signoff.envelope_digest)).payload).predicate
            who = f"{said.reviewer.name} ({said.reviewer.organization})"
            verdict = Verdict(revision.verdict) if revision.verdict else None
            found[sha256] = PublishedLine(sha256, repository, signoff.decision, who, signoff.at, verdict)
    return tuple(found.values())


def one(context: Context, sha256: str) -> Published:
    """The signed revision whose manifest has this digest.

    Raises:
        NotFoundError: nobody signed such a revision here.
    """
    given = _signoffs(context, sha256)
    with context.database.read() as session:
        row = session.scalars(
            select(RevisionRow).where(RevisionRow.digest == f"sha256:{sha256}").order_by(RevisionRow.id.desc())
        ).first()
        change = None if row is None else session.get(Change, row.change_id)
    if row is None or change is None or not given:
        raise NotFoundError("nobody has signed a revision with this digest here")
    audit = context.store.get_json(row.audit_digest) if row.audit_digest else None
    public = context.store.get_json(row.public_digest) if row.public_digest else None
    slices, rest = what_was_found(audit, public)
    revoked = ledger.read_revoked(context)
    return Published(
        sha256=sha256,
        repository=change.repository,
        target=given[-1].statement.predicate.change.targetRef,
        base_commit=row.base_commit or "",
        head_commit=row.head_commit,
        verdict=Verdict(row.verdict) if row.verdict else None,
        slices=slices,
        rest=rest,
        signoffs=tuple(_published(one, sha256, revoked) for one in reversed(given)),
        roots=trust.roots(context).digest,
    )


def envelope(context: Context, sha256: str, index: int) -> Envelope:
    """The envelope of a sign-off on this revision. NotFoundError if entry ``index`` is none."""
    for one_ in _signoffs(context, sha256):
        if one_.place == index:
            return one_.envelope
    raise NotFoundError(f"entry {index} of the log is no sign-off on this revision")


def proof(context: Context, sha256: str, index: int) -> str:
    """The proof that was kept when a sign-off was logged: no witness is asked for the public's sake.

    NotFoundError if there is none.
    """
    kept = ledger.kept_proof(context, signoff_leaf(envelope(context, sha256, index)))
    if kept is None:
        raise NotFoundError(f"entry {index} of the log has no proof yet: the witnesses have not seen it")
    return kept.text


def what_was_found(
    audit: Mapping[str, Any] | None, public: Mapping[str, Any] | None
) -> tuple[tuple[PublishedSlice, ...], str]:
    """The public slices that moved, and a sentence on the rest.

    Args:
        audit: the reviewer's document, None where nothing was run.
        public: the part of it that a submitter sees: it says which slices the panel makes public.
    """
    if audit is None or public is None:
        return (), "Neither version was run, so what the change does is not known."
    cells = [cell for cell in audit["cells"] if cell["family"] == "primary"]
    moved = tuple(
        PublishedSlice(entry["slice"], entry["direction"], _words(cells, entry["slice"], entry["direction"]))
        for entry in public["slices"]
    )
    named = {(entry.name, entry.direction) for entry in moved}
    counted = Counter(cell["verdict"] for cell in cells if (cell["slice"], cell["verdict"]) not in named)
    said = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counted.items()))
    people = _coarse(audit["panel"]["users"])
    which = "The other cells" if moved else "All cells"
    rest = f"{which}, of a panel of about {people:,} people that is not public: {said}." if said else ""
    return moved, rest


def _words(cells: Iterable[Mapping[str, Any]], name: str, direction: str) -> str:
    """How far one slice moved: over everybody to one decimal, else in how many groups that are not small."""
    found = [cell for cell in cells if cell["slice"] == name and cell["verdict"] == direction]
    large = [cell for cell in found if cell["users"] >= LEAST_PEOPLE]
    everybody = [cell for cell in large if not cell["cohort"] and not cell["context"]]
    ratios = [cell["ratio"] for cell in everybody if cell["ratio"] is not None]
    if ratios:
        return f"about {max(ratios, key=lambda ratio: abs(ratio - 1)):.1f} times base, over everybody"
    if everybody:
        return "from nothing in base, over everybody"
    if large:
        return f"in {len(large)} of the groups of {LEAST_PEOPLE} people or more, not over everybody"
    return f"in groups of fewer than {LEAST_PEOPLE} people, of which no more is said here"


def _coarse(number: int) -> int:
    """A count to one significant digit."""
    size: int = 10 ** (len(str(number)) - 1)
    return round(number / size) * size


def _signoffs(context: Context, sha256: str) -> list[_Given]:
    """The logged sign-offs on a revision, those that were carried over to it among them, oldest first."""
    wanted = select(RevisionRow.id).where(RevisionRow.digest == f"sha256:{sha256}")
    with context.database.read() as session:
        over = session.scalars(select(CarriedRow.nonce).where(CarriedRow.revision_id.in_(wanted))).all()
        rows = session.scalars(
            select(SignoffRow)
            .where(
                or_(SignoffRow.revision_id.in_(wanted), SignoffRow.nonce.in_(over)), SignoffRow.log_index.is_not(None)
            )
            .order_by(SignoffRow.log_index)
        ).all()
    roots = trust.roots(context)
    found = []
    for row in rows:
        given = Envelope.read(context.store.get(row.envelope_digest))
        key = verify_by(given, roots.keys, roots)
        found.append(_Given(given, read_statement(given.payload), key, row.log_index or 0, row.superseded))
    return found


def _published(given: _Given, sha256: str, revoked: tuple[Revoked, ...]) -> PublishedSignoff:
    statement = given.statement
    standing, why = _standing(given, sha256, revoked)
    other = statement.revision.removeprefix("sha256:")
    return PublishedSignoff(
        index=given.place,
        said=statement.predicate,
        signed_at=statement.signed_at,
        expires_at=statement.expires_at,
        standing=standing,
        why=why,
        other="" if other == sha256 else other,
    )


def _standing(given: _Given, sha256: str, revoked: tuple[Revoked, ...]) -> tuple[str, str]:
    about = {
        (RevokedKind.STATEMENT, sha256_hex(given.envelope.payload)),
        (RevokedKind.REVISION, sha256),
        (RevokedKind.REVISION, given.statement.revision.removeprefix("sha256:")),
        (RevokedKind.KEY, key_sha256(given.key)),
    }
    for entry in revoked:
        if (entry.kind, entry.sha256) in about:
            return "revoked", entry.reason
    if given.outdated:
        return "outdated", "a later sign-off of the same person stands in its place"
    if given.statement.expires_at <= now():
        return "expired", ""
    return "stands", ""
