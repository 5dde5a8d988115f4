# SPDX-License-Identifier: Apache-2.0
"""Recipes for builds: proposing one on a reviewed revision, the lane's key, and whether a recipe counts now."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from confine import Repository
from evidence import ConflictError, InputError, NotFoundError, canonical, parse_json, sha256_hex
from service import judgement, ledger, progress, trust
from service.arrivals import now
from service.database import BuildRow, Change, RecipeRow, RevisionRow
from service.store import write_durably
from signoff import (
    MachineKey,
    RevokedKind,
    admits,
    build_recipe,
    declared_path,
    format_time,
    key_leaf,
    parse_roots,
    read_recipe,
)

if TYPE_CHECKING:
    from pathlib import Path

    from evidence import Digest
    from service.context import Context
    from signoff import Recipe, Terms

_CONTRACT = 16 << 20  # bytes
_LANE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Standing(StrEnum):
    """Whether builds are countersigned under a recipe, and if not, why."""

    COUNTS = "counts"
    UNSIGNED = "waits for sign-offs"
    STOPPED = "stopped"
    REVOKED = "revoked"
    EXPIRED = "expired"
    SPENT = "all of its builds were made"
    LAPSED = "its lane lay still for too long"
    KEYLESS = "the lane's key does not count in the roots"


class Held(NamedTuple):
    """A recipe as the service has it, and the commit of the revision that it hangs on."""

    recipe: Recipe
    row: RecipeRow
    anchor: RevisionRow


def propose(
    context: Context, change_id: int, n: int, *, lane: str, terms: Terms, contract: str | None = None
) -> Recipe:
    """Keep a recipe that hangs on a reviewed revision, for people to sign with their sign-off of that.

    Args:
        context: the data folder.
        change_id: the change.
        n: its revision, reviewed.
        lane: the lane, which has a key.
        terms: the bounds.
        contract: the path of the data contract; its digest is read from the revision.

    Raises:
        ConflictError: it is not reviewed.
        InputError: bounds that are none, an artifact that the revision does not have, a lane without a key.
    """
    row = judgement.find(context, change_id, n)
    if row.digest is None or row.audit_digest is None or row.people_digest is None:
        raise ConflictError(f"revision {n} is {row.state}: a recipe hangs on one that is reviewed")
    revision = judgement.revision_of(context.store.get_json(row.digest))
    lacking = sorted(set(terms.artifacts) - {one.name for one in revision.artifacts})
    if lacking:
        raise InputError(f"revision {n} has no artifact {lacking[0]!r}")
    beside = sorted(name for name, path in terms.artifacts.items() if path is None)
    if beside:
        raise InputError(f"artifact {beside[0]!r} is beside the repository; builds under a recipe bring theirs in it")
    key = MachineKey.load(lane_key(context, lane))
    with context.database.read() as session:
        target = judgement.target_ref(session, row)
    paths = set(filter(None, terms.artifacts.values()))
    with _mirror(context, row) as repository:
        tree = repository.tree(row.head_commit)
        for name, path in terms.artifacts.items():
            if declared_path(name, repository, tree) != path:
                raise InputError(f"countersign.toml does not say that the artifact {name!r} is at {path!r}")
        code = repository.content_digest(row.head_commit, without=paths)
        if contract is not None:
            terms = replace(terms, contract=(contract, _content(repository, row.head_commit, contract)))
    document = build_recipe(
        revision,
        target_ref=target,
        code=code,
        panel=context.store.get_json(row.audit_digest)["panel"]["digest"],
        terms=terms,
        lane=(lane, key.public),
        nonce=secrets.token_urlsafe(24),
        issued_at=now().replace(microsecond=0).astimezone(UTC),
    )
    digest = context.store.put_json(document)
    with context.database.write() as session:
        session.add(RecipeRow(digest=digest, revision_id=row.id, created_at=now()))
    return read_recipe(document)


def of_revision(context: Context, revision_id: int) -> list[Recipe]:
    """The recipes that hang on a revision and can still be signed, the newest last."""
    return [
        held.recipe
        for held in _held(context, revision_id)
        if standing(context, held) in {Standing.UNSIGNED, Standing.COUNTS}
    ]


def every(context: Context) -> list[tuple[Held, Standing]]:
    """Every recipe with its standing, oldest first."""
    return [(held, standing(context, held)) for held in _held(context)]


def find(context: Context, digest: Digest) -> Held:
    """The recipe of that digest. NotFoundError if there is none."""
    found = next((held for held in _held(context) if held.row.digest == digest), None)
    if found is None:
        raise NotFoundError(f"there is no recipe {digest[:80]}")
    return found


def active(context: Context, platform: str, repository: str, target_ref: str) -> list[Held]:
    """The recipes that count now for what goes to this branch, the newest first."""
    with context.database.read() as session:
        anchors = set(
            session.scalars(
                select(RevisionRow.id)
                .join(Change, Change.id == RevisionRow.change_id)
                .where(Change.platform == platform, Change.repository == repository)
            )
        )
    signed_for = [held for held in _held(context) if held.recipe.target_ref == target_ref]
    found = [held for held in signed_for if held.anchor.id in anchors]
    return [held for held in reversed(found) if standing(context, held) is Standing.COUNTS]


def standing(context: Context, held: Held) -> Standing:  # noqa: PLR0911 - one return a reason
    """Whether builds are countersigned under a recipe at this moment."""
    recipe, moment = held.recipe, now()
    if held.row.stop_digest is not None:
        return Standing.STOPPED
    named = {(RevokedKind.RECIPE, held.row.digest[7:]), (RevokedKind.REVISION, recipe.revision.sha256)}
    if any((one.kind, one.sha256) in named for one in ledger.read_revoked(context)):
        return Standing.REVOKED
    if recipe.ends <= moment:
        return Standing.EXPIRED
    last = last_build(context, held.row.digest)
    if last is not None and (last.number or 0) >= recipe.builds:
        return Standing.SPENT
    if moment > ((last.signed_at if last else None) or recipe.begins) + recipe.interval:
        return Standing.LAPSED
    if not _key_counts(context, recipe):
        return Standing.KEYLESS
    paths = recipe.paths
    asked = judgement.judged(context, held.anchor, trust.policy(context), moment, recipe=held.row.digest, paths=paths)
    return Standing.COUNTS if admits(asked) else Standing.UNSIGNED


def last_build(context: Context, digest: Digest) -> BuildRow | None:
    """The build with the highest number that was signed under a recipe."""
    with context.database.read() as session:
        return session.scalar(
            select(BuildRow)
            .where(BuildRow.recipe == digest, BuildRow.number.is_not(None))
            .order_by(BuildRow.number.desc())
            .limit(1)
        )


def lane_key(context: Context, lane: str) -> Path:
    """Where a lane's key is. InputError if that is no name of a lane."""
    if not _LANE.fullmatch(lane):
        raise InputError(f"lane {lane[:80]!r}: write lower-case letters, digits and hyphens")
    return context.settings.data / "keys" / f"lane-{lane}.pem"


def make_lane(context: Context, lane: str) -> tuple[MachineKey, bool]:
    """Make a lane's key if there is none, and put it into the roots.

    Returns:
        The key, and whether the roots have it: where administrators sign the roots, they put it in.
    """
    path = lane_key(context, lane)
    if not path.exists():
        MachineKey.generate().save(path)
    key = MachineKey.load(path)
    if any(entry.key.blob == key.public.blob for one in trust.roots(context).build_lanes for entry in one.keys):
        return key, True
    if trust.roots(context).administration is not None:
        return key, False
    document = parse_json(context.roots.read_bytes(), str(context.roots))
    entry = {"public": key.public.line, "valid_from": format_time(now()), "valid_until": None}
    document.setdefault("build_lanes", []).append({"id": lane, "keys": [entry]})
    data = canonical(document)
    parse_roots(data, str(context.roots))
    write_durably(context.roots, data, mode=0o644)
    return key, True


def _mirror(context: Context, row: RevisionRow) -> Repository:
    job = progress.job(context.database, row.id)
    configured = context.platform(job.platform).find(job.repository)
    if configured is None:
        raise NotFoundError(f"repository {job.repository} is no longer configured")
    return Repository.open(context.mirror(job.platform, configured.url))


def _content(repository: Repository, commit: str, path: str) -> str:
    entry = repository.tree(commit).get(path)
    if entry is None or entry.kind != "file":
        raise InputError(f"{commit[:12]} has no file {path[:80]!r} for a data contract")
    return sha256_hex(repository.blob(entry.object_id, limit=_CONTRACT))


def _held(context: Context, revision_id: int | None = None) -> list[Held]:
    wanted = select(RecipeRow, RevisionRow).join(RevisionRow, RevisionRow.id == RecipeRow.revision_id)
    if revision_id is not None:
        wanted = wanted.where(RecipeRow.revision_id == revision_id)
    with context.database.read() as session:
        rows = session.execute(wanted.order_by(RecipeRow.created_at, RecipeRow.digest)).all()
    return [Held(read_recipe(context.store.get_json(row.digest)), row, anchor) for row, anchor in rows]


def _key_counts(context: Context, recipe: Recipe) -> bool:
    lane = next((one for one in trust.roots(context).build_lanes if one.id == recipe.lane.id), None)
    there = lane_key(context, recipe.lane.id).exists() if _LANE.fullmatch(recipe.lane.id) else False
    return there and any(
        str(key_leaf(entry.key)["digest"])[7:] == recipe.lane.key.sha256 and entry.valid_at(now())
        for entry in (lane.keys if lane else ())
    )
