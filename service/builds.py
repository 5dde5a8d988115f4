# SPDX-License-Identifier: Apache-2.0
"""Builds under a recipe: found when they arrive, countersigned by the lane's key, or the end of their lane."""

from __future__ import annotations

import contextlib
import secrets
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from evidence import (
    InputError,
    RepositoryError,
    SandboxMissingError,
    canonical,
    digest,
)
from service import judgement, ledger, progress, recipes, trust
from service.arrivals import now
from service.database import BuildRow, RecipeRow, RevisionRow
from service.life import State
from service.recipes import Standing
from service.views import BuildView
from signoff import (
    BuildPlace,
    Envelope,
    MachineKey,
    RevokedKind,
    build_countersignature,
    build_leaf,
    build_measures,
    build_stop,
    check_anchored,
    check_code,
    outside,
    read_data,
    read_measures,
    read_stop,
    stop_leaf,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from confine import Repository
    from evidence import Digest, Revision
    from service.context import Context
    from service.progress import Job
    from service.recipes import Held
    from signoff import Measures

log = structlog.get_logger("countersign")
_ONE_AT_A_TIME = "builds"


class Stop(StrEnum):
    """Why a lane stops, in words that everybody may read."""

    OUTSIDE = "a build is outside of the recipe's bounds"
    UNREVIEWED = "a build could not be reviewed"
    UNJUDGED = "a build could not be judged"
    BY_HAND = "the reviewer stopped it"


def adopt(context: Context, job: Job, repository: Repository) -> str | None:
    """Where the review of a build starts: the commit that its recipe hangs on. None for what is no build.

    A build descends from that commit, and differs from it in the artifacts that the recipe allows and in nothing else.
    Nobody had a hand in it who had none in the revision that people signed: so nobody else uses up or stops a lane, and
    no build is by somebody who approved its recipe.
    """
    known = row_of(context, job.revision_id)
    if known is not None:
        return recipes.find(context, known.recipe).anchor.head_commit
    for held in recipes.active(context, job.platform, job.repository, job.target_ref):
        anchor = held.anchor.head_commit
        if anchor == job.head_commit or not _descends(repository, anchor, job.head_commit):
            continue
        if not _by_its_makers(context, job, held, repository):
            log.info("not a build of a recipe: made by others", recipe=held.row.digest, head=job.head_commit)
            continue
        if repository.content_digest(job.head_commit, without=held.recipe.paths) == held.recipe.code.sha256:
            with context.database.write() as session:
                session.add(BuildRow(revision_id=job.revision_id, recipe=held.row.digest))
            return anchor
    return None


def _by_its_makers(context: Context, job: Job, held: Held, repository: Repository) -> bool:
    """Whether everybody who made, proposed, pushed or launched a build did so for the revision that people signed."""
    known = context.store.get_json(held.anchor.people_digest or "")
    people = progress.people(context.database, job, repository, held.anchor.head_commit)
    return people <= {(one["name"], one["email"]) for one in known}


def row_of(context: Context, revision_id: int) -> BuildRow | None:
    """What is known of a revision as a build; None if it is none."""
    with context.database.read() as session:
        return session.get(BuildRow, revision_id)


def settle(context: Context, job: Job, mirror: Callable[[], Repository]) -> None:
    """Countersign a reviewed build that is within its recipe's bounds; stop its lane if it is not known to be.

    Whatever keeps it from being judged stops the lane too. Where the recipe does not count any more, the revision
    waits for people as any other. Running it again does nothing.

    Raises:
        SandboxMissingError: not enough witnesses can be reached; `finish` goes on once they can.
    """
    row = row_of(context, job.revision_id)
    if row is None or row.outside is not None:
        return
    held = recipes.find(context, row.recipe)
    try:
        _settle(context, job, held, mirror)
    except SandboxMissingError:
        raise
    except Exception as error:  # fail safe: what nobody foresaw is no reason to go on
        log.exception("a build could not be judged", recipe=held.row.digest, revision=job.digest)
        _outside(context, job, held, Stop.UNJUDGED, f"it could not be judged: {type(error).__name__}: {error}")


def _settle(context: Context, job: Job, held: Held, mirror: Callable[[], Repository]) -> None:
    if job.state is State.FAILED:
        _outside(context, job, held, Stop.UNREVIEWED, "the build could not be reviewed")
    if job.state not in {State.READY, State.SIGNED}:
        return
    with context.exclusive(_ONE_AT_A_TIME):
        row = row_of(context, job.revision_id)
        if row is not None and row.envelope_digest is None:
            why = recipes.standing(context, held)
            if why is Standing.STOPPED and _stopped_by(context, held) == job.digest:  # by a process that was killed
                _outside(context, job, held, Stop.OUTSIDE, held.row.stop_reason or "")
                return
            if why is not Standing.COUNTS:
                progress.record(context.database, job.revision_id, f"not countersigned, its recipe: {why}")
                return
            last = recipes.last_build(context, held.row.digest)
            if last is not None and last.log_index is None:  # each is logged before the one that names it
                _log_and_count(context, last.revision_id)
            try:
                with mirror() as repository:
                    _sign(context, job, held, repository)
            except InputError as error:
                _outside(context, job, held, Stop.OUTSIDE, str(error))
                return
        _log_and_count(context, job.revision_id)


def _outside(context: Context, job: Job, held: Held, word: Stop, reason: str) -> None:
    """The lane of a build stops, and the build waits for people."""
    log.warning("a lane stops", lane=held.recipe.lane.id, recipe=held.row.digest, reason=reason)
    try:
        stop(context, held, reason, revision=job.digest, word=word)
    finally:  # where witnesses are away it has stopped all the same
        _set(context, job.revision_id, outside=reason)
        progress.record(context.database, job.revision_id, f"outside of its recipe, whose lane stops: {reason}")


def _stopped_by(context: Context, held: Held) -> Digest | None:
    """The build that a lane stopped at, if it was one."""
    if held.row.stop_digest is None:
        return None
    found = read_stop(Envelope.read(context.store.get(held.row.stop_digest)).payload).predicate.revision
    return None if found is None else f"sha256:{found.sha256}"


def stop(
    context: Context, held: Held, reason: str, *, revision: Digest | None = None, word: Stop = Stop.BY_HAND
) -> None:
    """Stop a lane: from here on nothing is countersigned under this recipe. Logged, and on the revocation list.

    Both are for everybody to read and say a word; ``reason`` stays with the reviewer, and the log has the digest of a
    document that holds it beside a salt, so that nobody finds it by trying.

    Raises:
        SandboxMissingError: not enough witnesses can be reached; the lane has stopped, and `finish` logs it.
    """
    with context.exclusive(_ONE_AT_A_TIME):
        if recipes.find(context, held.row.digest).row.stop_digest is None:
            salted = {"schema": "countersign/stop-reason/v1", "reason": reason[:1000], "salt": secrets.token_hex(32)}
            document = build_stop(
                held.recipe,
                service=trust.SERVICE_ID,
                revision=revision,
                reason=word,
                stopped_at=now(),
                detail=context.store.put_json(salted),
            )
            envelope = trust.service_key(context).sign(canonical(document))
            kept = context.store.put_json(envelope.to_json())
            with context.database.write() as session:
                row = session.get_one(RecipeRow, held.row.digest)
                row.stop_digest, row.stop_reason = kept, reason[:1000]
        _finish_stop(context, held.row.digest)


def finish(context: Context) -> None:
    """Log the stops and the builds that a killed process, or one without witnesses, had not got further with."""
    with context.database.read() as session:
        stops = session.scalars(
            select(RecipeRow.digest).where(RecipeRow.stop_digest.is_not(None), RecipeRow.stop_index.is_(None))
        ).all()
        builds = session.scalars(
            select(BuildRow.revision_id).where(BuildRow.envelope_digest.is_not(None), BuildRow.log_index.is_(None))
        ).all()
    with context.exclusive(_ONE_AT_A_TIME), contextlib.suppress(SandboxMissingError):
        for stopped in stops:
            _finish_stop(context, stopped)
        for build in builds:
            _log_and_count(context, build)


def _descends(repository: Repository, old: str, new: str) -> bool:
    try:
        return repository.is_ancestor(old, new)
    except RepositoryError:
        return False


def _sign(context: Context, job: Job, held: Held, repository: Repository) -> None:
    """Measure a build and sign its statement by the lane's key. InputError if it is outside of a bound."""
    revision, anchor = (
        judgement.revision_of(context.store.get_json(name or "")) for name in (job.digest, held.anchor.digest)
    )
    measures = _measures(context, job, held, revision, repository)
    beyond = outside(held.recipe, measures)
    if beyond is not None:
        raise InputError(beyond)
    check_anchored(held.recipe, anchor, revision, measures)
    check_code(held.recipe, {one.name: one.value for one in measures.data}, revision, repository)
    people = [(one.name, one.email) for one in measures.people or ()]
    policy, paths = trust.policy(context), held.recipe.paths
    asked = judgement.judged(context, held.anchor, policy, now(), recipe=held.row.digest, paths=paths, people=people)
    unmet = next((one for one in asked if not one.state.met), None)
    if unmet is not None:
        raise InputError(f"its recipe's sign-offs do not count for it, {unmet.name}: {unmet.reason}")
    last = recipes.last_build(context, held.row.digest)
    previous = None
    if last is not None and last.payload_digest is not None and last.signed_at is not None:
        previous = (last.payload_digest, last.signed_at)
    signed_at = now().replace(microsecond=0).astimezone(UTC)
    key = MachineKey.load(recipes.lane_key(context, held.recipe.lane.id))
    evidence = {name: f"sha256:{one}" for name, one in measures.evidence.items()}
    ledger.record_needed(context, evidence, revision.digest, [key.public])
    place = BuildPlace((last.number or 0) + 1 if last else 1, previous)
    payload = canonical(
        build_countersignature(
            revision, recipe=held.recipe, measures=measures, place=place, policy=policy.digest, signed_at=signed_at
        )
    )
    _set(
        context,
        job.revision_id,
        number=place.number,
        signed_at=signed_at,
        measures_digest=context.store.put_json(measures.document),
        payload_digest=digest(payload),
        envelope_digest=context.store.put_json(key.sign(payload).to_json()),
    )


def _measures(context: Context, job: Job, held: Held, revision: Revision, repository: Repository) -> Measures:
    with context.database.read() as session:
        made_by = session.get_one(RevisionRow, job.revision_id).people_digest
    named = (job.audit_digest, job.diff_digest, job.artifacts_digest)
    if made_by is None or None in named:
        raise InputError("who made it, or what changed inside its artifacts, is not known")
    audit, diff, artifacts = ((name or "", context.store.get_json(name or "")) for name in named)
    document = build_measures(
        revision,
        audit=audit,
        diff=diff,
        artifacts=artifacts,
        people=[(one["name"], one["email"]) for one in context.store.get_json(made_by)],
        data=read_data(held.recipe, repository, repository.tree(job.head_commit)),
    )
    return read_measures(document)


def _log_and_count(context: Context, revision_id: int) -> None:
    """Log a countersigned build and let it count, unless its lane has stopped since."""
    row = row_of(context, revision_id)
    if row is None or row.envelope_digest is None:
        return
    held = recipes.find(context, row.recipe)
    if row.log_index is None:
        if held.row.stop_digest is not None:
            return
        envelope = Envelope.read(context.store.get(row.envelope_digest))
        _set(context, revision_id, log_index=ledger.record(context, build_leaf(envelope)).index)
        row = row_of(context, revision_id)
    if progress.job(context.database, revision_id).state is State.READY and row is not None:
        words = f"countersigned as build {row.number} of its recipe by the lane {held.recipe.lane.id}"
        progress.record(context.database, revision_id, f"{words}, log entry {row.log_index}")
        progress.advance(context.database, revision_id, State.SIGNED)


def _finish_stop(context: Context, named: Digest) -> None:
    row = recipes.find(context, named).row
    if row.stop_digest is None or row.stop_index is not None:
        return
    envelope = Envelope.read(context.store.get(row.stop_digest))
    index = ledger.record(context, stop_leaf(envelope)).index
    if all((one.kind, one.sha256) != (RevokedKind.RECIPE, named[7:]) for one in ledger.read_revoked(context)):
        reason = read_stop(envelope.payload).predicate.reason
        ledger.revoke(context, RevokedKind.RECIPE, named[7:], reason, now(), before=index)
    with context.database.write() as session:
        session.get_one(RecipeRow, named).stop_index = index


def _set(context: Context, revision_id: int, **values: object) -> None:
    with context.database.write() as session:
        row = session.get_one(BuildRow, revision_id)
        for name, value in values.items():
            setattr(row, name, value)


def ended(context: Context, revision: RevisionRow, moment: datetime) -> bool:
    """Whether a countersigned build counts no more: its recipe has ended."""
    row = row_of(context, revision.id)
    return row is not None and recipes.find(context, row.recipe).recipe.ends <= moment


def view(context: Context, revision_id: int) -> BuildView | None:
    """A revision as a build, for its page; None if it is none."""
    row = row_of(context, revision_id)
    if row is None:
        return None
    held = recipes.find(context, row.recipe)
    lane = held.recipe.lane.id
    if row.log_index is not None:
        said = f"Countersigned by machine as build {row.number} of {held.recipe.builds} by the lane {lane}"
        return BuildView(row.recipe, counts=True, words=f"{said}, log entry {row.log_index}.")
    if row.outside is not None:
        said = f"Outside of its recipe: {row.outside}. The lane {lane} has stopped; this revision waits for people"
        return BuildView(row.recipe, counts=False, words=f"{said}.")
    said = f"A build for the lane {lane}. Its recipe: {recipes.standing(context, held)}."
    return BuildView(row.recipe, counts=False, words=said)
