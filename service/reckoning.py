# SPDX-License-Identifier: Apache-2.0
"""The database held against the log: an edit by SQL is found, because the log cannot be edited in step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import select

from evidence import Digest, VerificationError, canonical, digest, parse_json
from service import ledger, trust
from service.database import BuildRow, CarriedRow, RecipeRow, RevisionRow, SignoffRow, StatementRow
from service.outward_reckoning import Outward, check_same, differs
from signoff import CARRY_LEAF, RECIPE_NAME, BuildChains, Envelope, read_carry, read_statement, verify_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.context import Context
    from signoff import BuildStatement, Carry, Roots, Statement

MEASURES = "measures"
_Row = tuple[SignoffRow, bytes, RevisionRow]


def compare(context: Context) -> int:
    """Check that the database says what the log says, of all that is in both: none more, none less, none otherwise.

    That is sign-offs, votes carried over, recipes, builds, stopped lanes, decisions, rollouts and incidents. Nothing of
    them may be on its way meanwhile: see `held`.

    Returns:
        How many sign-offs and builds there are.

    Raises:
        VerificationError: the first that differs, or a log that is damaged.
    """
    rows, recipes, outward, roots = _rows(context), _recipes(context), Outward.read(context), trust.roots(context)
    carried: dict[str, tuple[int, Carry, Digest]] = {}
    newest: dict[tuple[str, str], int] = {}
    seen: dict[str, tuple[int, Statement]] = {}
    chains, builds = BuildChains(roots), _builds(context)
    for index, entry in enumerate(trust.log_reader(context).entries()):
        document = parse_json(entry, f"log entry {index}")
        outward.take(index, document)
        built = chains.take(index, document)
        if built is not None:
            made = Envelope.from_json(document["envelope"])
            _check_build(index, made, built, builds.pop(digest(made.payload), None))
        if document["type"] == CARRY_LEAF:
            made = Envelope.from_json(document["envelope"])
            carry = read_carry(made.payload)
            carried[carry.revision] = (index, carry, digest(canonical(made.to_json())))
        if document["type"] != "signoff":
            continue
        envelope = Envelope.from_json(document["envelope"])
        statement = read_statement(envelope.payload)
        nonce = statement.predicate.nonce
        if nonce in seen:
            continue  # one statement, signed and logged again
        _check(index, envelope, statement, rows.get(nonce), roots)
        _check_recipe(index, statement, recipes)
        seen[nonce] = (index, statement)
        newest[statement.revision, statement.predicate.reviewer.id] = index
    for nonce, (row, _, _) in rows.items():
        if nonce not in seen:
            differs(f"a sign-off of {row.person_id} that is not in the log")
        index, statement = seen[nonce]
        counts = newest[statement.revision, statement.predicate.reviewer.id] == index
        if row.superseded is counts:
            differs(f"the sign-off at log entry {index} is marked as if it counted otherwise")
    if builds:
        differs(f"{len(builds)} builds of the database that are not in the log")
    _compare_carried(context, carried)
    outward.check(context)
    return len(rows) + chains.count


@contextmanager
def held(context: Context) -> Iterator[None]:
    """Nothing is signed, taken in or logged meanwhile: rows and log are as of one moment."""
    with context.exclusive("signing"), context.exclusive(ledger.ROWS), trust.log(context).held():
        yield


def _compare_carried(context: Context, logged: Mapping[str, tuple[int, Carry, Digest]]) -> None:
    """Each vote that counts for another revision than its own is in the newest entry that carried over to that one."""
    with context.database.read() as session:
        found = session.execute(
            select(CarriedRow, SignoffRow.payload_digest, RevisionRow.digest)
            .join(SignoffRow, SignoffRow.nonce == CarriedRow.nonce)
            .join(RevisionRow, RevisionRow.id == CarriedRow.revision_id)
        ).all()
    there: dict[str, set[str]] = {}
    for row, payload, revision in found:
        there.setdefault(revision or "", set()).add(payload.removeprefix("sha256:"))
        index, carry, envelope = logged.get(revision or "", (None, None, None))
        named = carry is not None and carry.find(payload.removeprefix("sha256:")) is not None
        if not named or (row.log_index, row.envelope_digest) != (index, envelope):
            differs(f"a vote counts for {revision} that the log does not carry over to it")
    for revision, payloads in there.items():
        index, carry, _ = logged[revision]
        if len(payloads) != len(carry.predicate.carried):
            differs(f"a vote that log entry {index} carries over is gone from the database")


def _rows(context: Context) -> dict[str, _Row]:
    with context.database.read() as session:
        found = session.execute(
            select(SignoffRow, StatementRow.payload, RevisionRow)
            .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(SignoffRow.log_index.is_not(None))
        ).all()
    return {row.nonce: (row, payload, revision) for row, payload, revision in found}


def _recipes(context: Context) -> dict[str, Digest | None]:
    """The digest of the revision that each recipe hangs on."""
    with context.database.read() as session:
        rows = session.execute(
            select(RecipeRow.digest, RevisionRow.digest).join(RevisionRow, RevisionRow.id == RecipeRow.revision_id)
        ).all()
    return {row[0]: row[1] for row in rows}


def _check_recipe(index: int, statement: Statement, recipes: Mapping[str, Digest | None]) -> None:
    named = statement.evidence_digest(RECIPE_NAME)
    if named is None:
        return
    if f"sha256:{named}" not in recipes:
        differs(f"the recipe signed at log entry {index} is gone from the database")
    check_same("recipe signed", index, {"revision": recipes[f"sha256:{named}"] == statement.revision})


def _builds(context: Context) -> dict[str | None, tuple[BuildRow, Digest | None]]:
    """The builds that count by the digest of their statement, with the digest of their revision."""
    with context.database.read() as session:
        found = session.execute(
            select(BuildRow, RevisionRow.digest)
            .join(RevisionRow, RevisionRow.id == BuildRow.revision_id)
            .where(BuildRow.log_index.is_not(None))
        ).all()
    return {row.payload_digest: (row, revision) for row, revision in found}


def _check_build(
    index: int, envelope: Envelope, statement: BuildStatement, known: tuple[BuildRow, Digest | None] | None
) -> None:
    if known is None:
        differs(f"the build at log entry {index} is gone from the database")
    row, revision = known
    predicate = statement.predicate
    measures = next(one.digest.sha256 for one in predicate.evidence if one.name == MEASURES)
    same = {
        "place": row.log_index == index,
        "envelope": row.envelope_digest == digest(canonical(envelope.to_json())),
        "recipe": row.recipe == f"sha256:{predicate.recipe.sha256}",
        "number": row.number == predicate.number,
        "time": row.signed_at == statement.signed_at,
        "measures": row.measures_digest == f"sha256:{measures}",
        "revision": revision == statement.revision,
    }
    check_same("build", index, same)


def _check(index: int, envelope: Envelope, statement: Statement, known: _Row | None, roots: Roots) -> None:
    if known is None:
        differs(f"the sign-off at log entry {index} is gone from the database")
    row, payload, revision = known
    predicate = statement.predicate
    same = {
        "place": row.log_index == index,
        "bytes": payload == envelope.payload and row.payload_digest == digest(payload),
        "envelope": row.envelope_digest == digest(canonical(envelope.to_json())),
        "decision": row.decision == predicate.decision.value,
        "person": row.person_id == predicate.reviewer.id,
        "haste": row.expedited in {None, predicate.expedited is not None},
        "key": _made_by(envelope, roots) in {None, row.key},
        "revision": revision.digest == statement.revision,
        "evidence": all(
            statement.evidence_digest(name) in {None, (named or "").removeprefix("sha256:")}
            for name, named in (
                ("diff", revision.diff_digest),
                ("audit", revision.audit_digest),
                ("artifacts", revision.artifacts_digest),
            )
        ),
    }
    check_same("sign-off", index, same)


def _made_by(envelope: Envelope, roots: Roots) -> str | None:
    """The fingerprint of the key that made a signature; None where the roots do not know it any more."""
    try:
        return verify_by(envelope, roots.keys, roots).fingerprint
    except VerificationError:
        return None
