# SPDX-License-Identifier: Apache-2.0
"""The gate: one answer to whether a revision may go out. Offline, from files alone.

`gate` looks at everything; `verify` at what a bundle says of itself, for those who have no repository. Neither
raises on what a bundle, repository or artifact holds: they refuse, and name the step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from confine import Repository
from evidence import CountersignError, InputError, sha256_hex
from signoff._strict import format_time
from signoff.breakglass import judge_break_glass
from signoff.bundle import BUNDLE_LIMIT, read_bundle
from signoff.revocations import read_revocations
from signoff.verification import Examination, Inputs, Step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evidence import Revision
    from signoff._build import BuildVote
    from signoff._signed import Signed
    from signoff.breakglass import BreakGlass
    from signoff.states import Requirement

GATE_SCHEMA = "countersign/gate/v1"
_TIMELY = frozenset({2, 7, 8, 10})  # the steps that depend on when one asks; what others refuse was refused then too


class AsMade(NamedTuple):
    """What a bundle came to when it was made: ``refused`` is the step that did not hold even then."""

    at: datetime
    refused: Step | None

    def to_json(self) -> dict[str, Any]:
        """It as a part of the result's document."""
        refused = None if self.refused is None else self.refused._asdict()
        return {"at": format_time(self.at), "holds": self.refused is None, "refused": refused}


@dataclass(frozen=True, slots=True)
class GateResult:
    """What came of every step. ``admitted`` is the answer; for `verify` it is always False, see ``holds``."""

    admitted: bool
    holds: bool  # whether nothing that was looked at was refused
    steps: tuple[Step, ...]
    requirements: tuple[Requirement, ...]
    signed: tuple[Signed, ...]
    revision: str | None
    policy_digest: str | None
    roots_digest: str
    inputs: tuple[tuple[str, str], ...] = ()  # (name, hexadecimal SHA-256) of bundle and break-glass file
    rollback: bool = False
    break_glass: BreakGlass | None = None
    subject: Revision | None = None  # what the decision is about
    build: BuildVote | None = None  # by whom it was countersigned, if it is a build under a recipe
    roots_in_force: str | None = None  # the digest of the roots that the bundle led on to from those that were given
    as_made: AsMade | None = None  # of `verify`, where the bundle does not hold now and was made before

    @property
    def reviewed(self) -> bool:
        """Whether it is admitted by sign-offs, and not by a broken glass."""
        return self.admitted and bool(self.steps) and all(step.ok is True for step in self.steps)

    @property
    def refused(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.ok is False), None)

    def to_json(self) -> dict[str, Any]:
        """The result as one document, ``countersign/gate/v1``."""
        return {
            "schema": GATE_SCHEMA,
            "admitted": self.admitted,
            "holds": self.holds,
            "revision": self.revision,
            "policy": None if self.policy_digest is None else {"sha256": self.policy_digest},
            "roots": {"sha256": self.roots_digest},
            "roots_in_force": None if self.roots_in_force is None else {"sha256": self.roots_in_force},
            "as_made": None if self.as_made is None else self.as_made.to_json(),
            "rollback": self.rollback,
            "build": None if self.build is None else self.build.to_json(),
            "break_glass": None if self.break_glass is None else self.break_glass.to_json(),
            "steps": [step._asdict() for step in self.steps],
            "requirements": [
                {"name": one.name, "state": one.state.value, "reason": one.reason} for one in self.requirements
            ],
            "signoffs": [
                {
                    "reviewer": one.person.id,
                    "organization": one.person.organization,
                    "target_ref": one.statement.predicate.change.targetRef,
                    "decision": one.statement.predicate.decision.value,
                    "conditions": list(one.statement.predicate.conditions),
                    "not_inspected": list(one.statement.predicate.notInspected),
                    "signed_at": format_time(one.statement.signed_at),
                    "expires_at": format_time(one.statement.expires_at),
                    "carried_from": one.carried_from,
                }
                for one in self.signed
            ],
        }


@dataclass(frozen=True, slots=True)
class Emergencies:
    """What a gate does beyond admitting what counts now.

    ``rollback``: sign-offs count that were in time once and have expired since; whatever is revoked stays refused.
    ``break_glass``: a file that may admit a revision without a review, see `breakglass`.
    """

    rollback: bool = False
    break_glass: Path | None = None


def gate(
    bundle: Path | None,
    repository: Path,
    artifacts: Mapping[str, Path],
    policy: Path,
    roots: Path,
    now: datetime,
    emergencies: Emergencies = Emergencies(),
) -> GateResult:
    """Judge whether what lies in ``repository`` and ``artifacts`` is what was signed, and may go out.

    What is *not* checked: that the files stay as they are after this returns; that nothing was signed later and left
    out of the bundle; without a quorum in the roots, that the log showed everybody the same.

    Args:
        bundle: the bundle's file; None only where a break-glass file is given.
        repository: a bare repository, or a checkout, of which every file is then compared too.
        artifacts: files by their names in the manifest; those not given must be in the commit.
        policy: the reviewer's policy file.
        roots: the roots file.
        now: the time to judge at, with its zone.
        emergencies: rollback and broken glass.

    Returns:
        Every step with its outcome; refused where anything at all does not hold.

    Raises:
        InputError: one of the named files or folders is not there, or cannot be read.
    """
    if not repository.is_dir():
        raise InputError(f"{repository}: no such folder; --repo takes a repository or a checkout")
    for name, path in artifacts.items():
        if not path.is_file():
            raise InputError(f"{path}: no such file, for artifact {name!r}")
    if bundle is None and emergencies.break_glass is None:
        raise InputError("there is no bundle; without one only a break-glass file can admit anything")
    contents = {"roots": _content(roots), "policy": _content(policy)}
    glass = None if emergencies.break_glass is None else _content(emergencies.break_glass)
    held = b"" if bundle is None else _content(bundle)
    inputs = Inputs(held, contents["roots"], contents["policy"], dict(artifacts), now, emergencies.rollback)
    opened: list[Repository] = []

    def open_repository() -> Repository:
        if not opened:
            opened.append(Repository.open(repository))
        return opened[0]

    try:
        examination = Examination(inputs, open_repository)
        result = _examine(inputs, examination)
        if bundle is None:
            result = replace(result, inputs=())
        if glass is None:
            return result
        broken = judge_break_glass(
            glass,
            roots=inputs.roots,
            policy=contents["policy"],
            open_repository=open_repository,
            artifacts=artifacts,
            now=now,
            people_of=examination.people_of,
        )
    finally:
        for one in opened:
            one.close()
    subject = broken.subject if broken.admits and not result.admitted else result.subject or broken.subject
    return replace(
        result,
        admitted=result.admitted or broken.admits,
        revision=None if subject is None else subject.digest,
        subject=subject,
        inputs=(*result.inputs, ("break-glass", sha256_hex(glass))),
        break_glass=broken,
    )


def verify(bundle: Path, roots: Path, now: datetime, policy: Path | None = None) -> GateResult:
    """Judge what a bundle says of itself: signatures, people, log, times and policy, as given or as it carries it.

    Of one that has become too old, `GateResult.as_made` says what it came to when it was made.

    What is *not* checked: that any repository or artifact is the one that was signed, and who made the change beyond
    what was signed. Nothing is admitted by this; `GateResult.holds` says whether all that was looked at holds.

    Raises:
        InputError: one of the named files is not there, or cannot be read.
    """
    inputs = Inputs(_content(bundle), _content(roots), None if policy is None else _content(policy), {}, now)
    result = _examine(inputs, Examination(inputs, None))
    if result.refused is None or result.refused.number not in _TIMELY:
        return result
    try:
        made = _made_at(inputs)
    except CountersignError:
        return result
    if made >= now:
        return result
    then = replace(inputs, now=made)
    return replace(result, as_made=AsMade(made, _examine(then, Examination(then, None)).refused))


def made_at(bundle: Path, roots: Path) -> datetime:
    """When a bundle was made: when its newest checkpoint was witnessed, or, without witnesses, as its list is dated.

    What is *not* checked: that it holds; `verify` at that time says so. What was revoked since is not in it.

    Raises:
        InputError: one of the files cannot be read, or the bundle is none.
    """
    return _made_at(Inputs(_content(bundle), _content(roots), None, {}, datetime.now(UTC)))


def _made_at(inputs: Inputs) -> datetime:
    """The log is looked at as of the revocation list's date: every limit that ends is behind it."""
    issued = read_revocations(read_bundle(inputs.bundle).revocations.envelope.payload).issued_at
    examination = Examination(replace(inputs, now=issued), None)
    examination.run()
    return max(issued, examination.newest_at or issued)


def _examine(inputs: Inputs, examination: Examination) -> GateResult:
    if inputs.now.tzinfo is None:
        raise InputError("the time to judge at needs its zone")
    steps = examination.run()
    complete = examination.open_repository is not None
    return GateResult(
        admitted=complete and all(step.ok is True for step in steps),
        holds=all(step.ok is not False for step in steps),
        steps=steps,
        requirements=examination.requirements,
        signed=tuple(examination.signed) if steps[1].ok else (),
        revision=examination.bundle.revision.digest if steps[0].ok else None,
        subject=examination.bundle.revision if steps[0].ok else None,
        policy_digest=examination.policy_digest,
        roots_digest=sha256_hex(inputs.roots),
        inputs=(("bundle", sha256_hex(inputs.bundle)),),
        build=examination.build if steps[1].ok else None,
        roots_in_force=examination.roots.digest if steps[1].ok else None,
        rollback=inputs.rollback,
    )


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(BUNDLE_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > BUNDLE_LIMIT:
        raise InputError(f"{path}: over the limit of {BUNDLE_LIMIT} bytes")
    return data
