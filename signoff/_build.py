# SPDX-License-Identifier: Apache-2.0
"""What the gate asks of a build under a recipe, beside all that it asks of the recipe's sign-offs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence import CountersignError, InputError, PolicyError, VerificationError, parse_json
from signoff._subject import declared_path
from signoff.builds import BuildStatement, check_anchored, check_approves, check_build, read_build
from signoff.envelope import verify_envelope
from signoff.leaves import key_sha256
from signoff.recipe import SUMMARY_LIMIT
from signoff.requirements import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from confine import Repository, TreeEntry
    from evidence import Revision
    from signoff.bundle import Build, Bundle
    from signoff.envelope import Envelope
    from signoff.keys import PublicKey
    from signoff.recipe import Recipe
    from signoff.roots import PersonKey, Roots
    from signoff.statement import Statement

_FILE = 0o100644
_CONTRACT_LIMIT = 16 << 20


class BuildVote(NamedTuple):
    """A build of which the signature holds: the lane, its key, and what it says."""

    lane: str
    key: PublicKey
    entry: PersonKey
    statement: BuildStatement

    @property
    def name(self) -> str:
        """Whom it is by, in messages."""
        return f"the lane {self.lane}"

    def to_json(self) -> dict[str, Any]:
        """The build in the gate's result."""
        predicate = self.statement.predicate
        return {
            "recipe": {"sha256": predicate.recipe.sha256},
            "lane": self.lane,
            "number": predicate.number,
            "measured": predicate.measured.model_dump(mode="json"),
            "signed_at": predicate.signedAt,
        }


def verify_by(envelope: Envelope, keys: Iterable[PublicKey], roots: Roots) -> PublicKey:
    """The one of ``keys`` that made a signature; as `verify_envelope`, but says so where a lane's key did.

    Raises:
        VerificationError: none of them did.
    """
    try:
        return verify_envelope(envelope, keys)
    except VerificationError:
        for lane in roots.build_lanes:
            if _made_by(envelope, lane.keys):
                raise VerificationError(
                    "signature", f"made by the key of the lane {lane.id}, which is good for builds and nothing else"
                ) from None
        raise


def check_build_signature(build: Build, roots: Roots, now: datetime) -> BuildVote:
    """Who countersigned a build: the lane that its recipe names, by the key that it names, at its time.

    Raises:
        VerificationError: another key, of a person or of anybody else.
        InputError: another lane, or a key that did not count; or not the statement of a build.
    """
    lanes = [(lane, entry) for lane in roots.build_lanes for entry in lane.keys]
    key = verify_envelope(build.envelope, [entry.key for _, entry in lanes])
    lane, entry = next((lane, entry) for lane, entry in lanes if entry.key.blob == key.blob)
    statement = read_build(build.envelope.payload)
    if statement.predicate.lane != lane.id:
        raise InputError(f"signed by the key of the lane {lane.id}, in the name of {statement.predicate.lane!r}")
    if (build.recipe.lane.id, build.recipe.lane.key.sha256) != (lane.id, key_sha256(key)):
        raise InputError(f"the lane {lane.id} or its key {key.fingerprint} is not the one that the recipe names")
    moments = [(statement.signed_at, "when it signed")]
    if not roots.dated:  # nobody else dates it, so the key must count to this day
        moments.append((now, "now"))
    for moment, when in moments:
        if not entry.valid_at(moment):
            raise InputError(f"the key {key.fingerprint} of the lane {lane.id} does not count {when}")
    return BuildVote(lane.id, key, entry, statement)


def check_recipe(bundle: Bundle, vote: BuildVote | None, signed: Sequence[tuple[str, Statement]]) -> Build | None:
    """Check that everybody who approves signed this recipe, and that the build is one of it, within its bounds.

    Returns:
        The build; None if the bundle is of none.

    Raises:
        InputError: an approval of something else; the first thing that does not agree, or the bound.
    """
    build = bundle.build
    if build is None or vote is None:
        return None
    check_anchored(build.recipe, build.anchor, bundle.revision, build.measures)
    for person, one in signed:
        if one.predicate.decision.approves and not check_approves(one, build.recipe):
            raise InputError(f"{person} approves the revision, and did not sign this recipe for builds of it")
        if one.predicate.change.targetRef != build.recipe.target_ref:
            raise InputError(f"{person} signed for another target than the recipe's")
    check_build(vote.statement, build.recipe, build.measures, bundle.revision)
    return build


def check_code(recipe: Recipe, measured: Mapping[str, int], revision: Revision, repository: Repository) -> str:
    """Compare a build in the repository with its recipe: its code, the kind of its artifacts, and its data.

    Raises:
        InputError: the first thing that does not agree.
        RepositoryError: the repository does not have the commit, or cannot be read.
    """
    code = repository.content_digest(revision.head.commit, without=recipe.paths)
    if code != recipe.code.sha256:
        raise InputError("the build changes more than the artifacts that its recipe allows")
    if repository.content_digest(revision.base.commit, without=recipe.paths) != recipe.code.sha256:
        raise InputError("the code that the recipe names is not that of the revision that people signed")
    tree = repository.tree(revision.head.commit)
    for artifact in recipe.artifacts:
        if artifact.path is not None and declared_path(artifact.name, repository, tree) != artifact.path:
            raise InputError(f"the recipe's {artifact.path!r} is not where countersign.toml says {artifact.name!r} is")
    for path in sorted(recipe.paths):
        entry = tree.get(path)
        if entry is None or entry.kind != "file" or entry.mode != _FILE:
            raise InputError(f"the artifact {path!r} of the build is missing, or no plain file")
    contract = recipe.data.contract
    if contract is not None:
        held = tree.get(recipe.data.path or "")
        content = None if held is None else repository.blob(held.object_id, limit=_CONTRACT_LIMIT)
        if content is None or hashlib.sha256(content).hexdigest() != contract.sha256:
            raise InputError("the data contract is not the one that the recipe names")
    if read_data(recipe, repository, tree) != measured:
        raise InputError("the build's summary of its data says something else than was measured")
    return f"build of {recipe.digest}, code sha256:{code}"


def made_and_touched(
    repository: Repository, revisions: Iterable[Revision]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """(name, address) of everybody who made these changes, and every path that they touch; raises as `Repository`."""
    people: set[tuple[str, str]] = set()
    paths: set[str] = set()
    for revision in revisions:
        base, head = revision.base.commit, revision.head.commit
        people |= {(person.name, person.email) for person in repository.commit_people(base, head)}
        entries = repository.diff_entries(base, head)
        paths |= {path for entry in entries for path in (entry.old_path, entry.new_path) if path}
    return tuple(sorted(people)), tuple(sorted(paths))


def read_data(recipe: Recipe, repository: Repository, tree: Mapping[str, TreeEntry]) -> dict[str, int]:
    """The figures that a recipe bounds out of the build's own summary of its data; what it does not give is left out.

    Raises:
        RepositoryError: the repository cannot be read.
    """
    entry = tree.get(recipe.data.summary or "")
    if entry is None or entry.kind != "file" or entry.size > SUMMARY_LIMIT:
        return {}
    try:
        document = parse_json(repository.blob(entry.object_id, limit=SUMMARY_LIMIT), "summary of the data")
    except InputError:
        return {}
    found = {bound.name: document.get(bound.name) for bound in recipe.data.bounds} if isinstance(document, dict) else {}
    most = 1 << 53
    return {name: value for name, value in found.items() if type(value) is int and -most < value < most}


def check_build_time(recipe: Recipe, build: BuildStatement, counted_at: datetime) -> str:
    """Check that recipe and build are in time at a moment: in the recipe's days, and not too long after the one before.

    Raises:
        PolicyError: they are not.
    """
    if build.signed_at > counted_at + CLOCK_SKEW:
        raise PolicyError(f"the build was signed in the future, at {build.signed_at:%Y-%m-%d %H:%M} UTC")
    if not recipe.begins - CLOCK_SKEW <= build.signed_at < recipe.ends or recipe.ends <= counted_at:
        raise PolicyError(f"the recipe counts from {recipe.begins:%Y-%m-%d} until {recipe.ends:%Y-%m-%d %H:%M} UTC")
    since = build.since or recipe.begins
    if build.signed_at > since + recipe.interval:
        raise PolicyError(f"the lane lay still for longer than {recipe.interval_hours} h before this build")
    return f"build {build.predicate.number} of {recipe.builds}, until {recipe.ends:%Y-%m-%d %H:%M} UTC"


def _made_by(envelope: Envelope, entries: Iterable[PersonKey]) -> bool:
    try:
        verify_envelope(envelope, [entry.key for entry in entries])
    except CountersignError:
        return False
    return True
