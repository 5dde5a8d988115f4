# SPDX-License-Identifier: Apache-2.0
"""The numbered procedure by which a bundle is judged. The same numbers stand in ``docs/gate.md``.

Each step rests on those before it, so the first that fails ends the procedure and the others are not run, and said
to be. Everything but the roots and the policy may come from an attacker: nothing they can put in raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from evidence import CountersignError, InputError, PolicyError, sha256_hex
from signoff._build import (
    BuildVote,
    check_build_signature,
    check_build_time,
    check_code,
    check_recipe,
    made_and_touched,
    verify_by,
)
from signoff._carried import (
    ServiceCarry,
    check_allowed,
    check_base,
    check_carried,
    check_target,
    check_times,
    manifest_of,
    read_signed_carry,
)
from signoff._logged import LogFindings, Vote, check_logged, check_revoked
from signoff._roots_followed import Followed, follow_roots
from signoff._signed import Signed, check_change, check_reviewer, no_twice, voter
from signoff._subject import check_subject
from signoff.bundle import Bundle, read_bundle
from signoff.facts import check_bound, policy_facts
from signoff.policy import Policy, parse_policy
from signoff.requirements import CLOCK_SKEW, admits, evaluate, in_time, independence
from signoff.revocations import Revocations, read_revocations
from signoff.roots import fold_name
from signoff.statement import FACTS_NAME, read_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from confine import Repository
    from evidence import Revision
    from signoff.roots import Roots
    from signoff.states import Requirement

STEPS: tuple[tuple[int, str, str], ...] = (
    (1, "bundle", "The bundle is read once, strictly."),
    (
        2,
        "signatures",
        "Each signature is by a key in the roots that counted at the time, in its owner's name and role.",
    ),
    (3, "people", "The signers are distinct people with distinct keys, and speak of one target."),
    (4, "policy", "The policy is the one that was signed."),
    (5, "subject", "Manifest, facts, repository and artifacts are the ones that were signed."),
    (6, "log", "Everything is in the log, in its order, under checkpoints that the log and enough witnesses signed."),
    (7, "freshness", "The newest checkpoint and the revocation list are not too old."),
    (8, "time", "No sign-off is from the future, expired or too old."),
    (9, "revocation", "Neither revision, sign-off nor key is revoked."),
    (10, "requirements", "The policy's requirements are met."),
)


class Step(NamedTuple):
    """A step of the procedure: ``ok`` is None where it was not run."""

    number: int
    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a bundle is judged with. ``repository`` and ``policy`` are None where they are not looked at."""

    bundle: bytes
    roots: bytes
    policy: bytes | None
    artifacts: Mapping[str, Path]
    now: datetime
    rollback: bool = False  # whether sign-offs count that were in time once and have expired since


@dataclass
class Examination:
    """One run of the procedure. Each method is a step: it returns what was found, or raises why it is refused."""

    inputs: Inputs
    open_repository: Callable[[], Repository] | None
    signed: list[Signed] = field(default_factory=list)
    requirements: tuple[Requirement, ...] = ()
    build: BuildVote | None = None
    _bundle: Bundle | None = None
    _roots: Roots | None = None
    _policy: Policy | None = None
    _people: tuple[tuple[str, str], ...] = ()
    _paths: tuple[str, ...] | None = None
    _votes: list[Vote] = field(default_factory=list)
    _revocations: Revocations | None = None
    _found: LogFindings | None = None
    _carry: ServiceCarry | None = None
    _followed: Followed | None = None

    @property
    def bundle(self) -> Bundle:
        """The bundle, from step 1 on.

        Raises:
            InputError: there is none yet.
        """
        if self._bundle is None:
            raise InputError("the bundle has not been read")
        return self._bundle

    @property
    def policy_digest(self) -> str | None:
        """The digest of the policy that it is judged by: the one that was given, or that the bundle carries."""
        given = self.inputs.policy
        return self._policy.digest if given is None and self._policy else None if given is None else sha256_hex(given)

    @property
    def newest_at(self) -> datetime | None:
        """When the newest checkpoint was witnessed; None before step 6, or where the roots ask for no witness."""
        return None if self._found is None else self._found.newest_at

    @property
    def roots(self) -> Roots:
        """The roots, from step 2 on.

        Raises:
            InputError: there are none yet.
        """
        if self._roots is None:
            raise InputError("the roots have not been read")
        return self._roots

    def people_of(self, revision: Revision) -> tuple[tuple[str, str], ...]:
        """(name, address) of those who had a hand in a revision, as a bundle of it says, whether or not it holds."""
        if self._bundle is None or self._bundle.revision.digest != revision.digest:
            return ()
        named = [(one.name, one.email) for facts in self._bundle.facts.values() for one in facts.people]
        return (*named, *self._people)

    def run(self) -> tuple[Step, ...]:
        """All steps in order; after the first that does not hold, the others are not run."""
        steps: list[Step] = []
        refused: int | None = None
        for number, name, _ in STEPS:
            if refused is not None:
                steps.append(Step(number, name, None, f"not run: step {refused} does not hold"))
                continue
            steps.append(self._step(number, name))
            if steps[-1].ok is False:
                refused = number
        return tuple(steps)

    def _step(self, number: int, name: str) -> Step:
        methods: Mapping[int, Callable[[], str | None]] = {
            1: self._read,
            2: self._check_signatures,
            3: self._check_people,
            4: self._check_policy,
            5: self._check_subject,
            6: self._check_log,
            7: self._check_freshness,
            8: self._check_time,
            9: self._check_revoked,
            10: self._judge,
        }
        try:
            found = methods[number]()
        except CountersignError as error:
            return Step(number, name, ok=False, detail=str(error))
        except Exception as error:  # noqa: BLE001 - hostile input must not get past by raising what nobody foresaw
            return Step(number, name, ok=False, detail=f"cannot be judged: {type(error).__name__}")
        if found is None:
            return Step(number, name, None, "not run: there is nothing to hold it against here")
        return Step(number, name, ok=True, detail=found)

    def _read(self) -> str:
        self._bundle = read_bundle(self.inputs.bundle)
        found = f"{len(self._bundle.signoffs)} sign-offs on {self._bundle.reviewed.digest}"
        return found if self._bundle.build is None else f"{found}, and a build {self._bundle.revision.digest}"

    def _check_signatures(self) -> str:
        """A payload is parsed here, once, after its signature."""
        self._followed = follow_roots(self.inputs.roots, self.bundle.roots, self.inputs.now)
        self._roots = self._followed.roots
        for signoff in self.bundle.signoffs:
            key = verify_by(signoff.envelope, self.roots.keys, self.roots)
            person, entry = self.roots.owner(key)
            statement = read_statement(signoff.envelope.payload)
            moments = [(statement.signed_at, "when it signed")]
            if not self.roots.dated:  # nobody else dates it, so the key must count to this day
                moments.append((self.inputs.now, "now"))
            for moment, when in moments:
                if not entry.valid_at(moment):
                    raise InputError(f"the key {key.fingerprint} of {person.id} does not count {when}")
            check_reviewer(statement, person)
            earlier = None if statement.revision == self.bundle.reviewed.digest else statement.revision
            self.signed.append(Signed(person, key, statement, signoff.envelope.synced, earlier))
            self._votes.append(Vote(person.id, key, entry, statement, signoff))
        self._revocations = self._read_revocations()
        self._carry = read_signed_carry(self.bundle, self.roots, self.inputs.now)
        found = [f"{one.person.id} by {one.key.fingerprint}" for one in self.signed]
        if self.bundle.build is not None:
            self.build = check_build_signature(self.bundle.build, self.roots, self.inputs.now)
            found.append(f"{self.build.name} by {self.build.key.fingerprint}")
        return self._followed.words + "; ".join(found)

    def _read_revocations(self) -> Revocations:
        """The revocation list, by a key of the service that counted when it was issued."""
        envelope, entries = self.bundle.revocations.envelope, self.roots.service_keys
        if not entries:
            raise PolicyError("the roots name no key of the service, so no revocation list can be checked")
        key = verify_by(envelope, [entry.key for entry in entries], self.roots)
        found = read_revocations(envelope.payload)
        if not any(entry.key.blob == key.blob and entry.valid_at(found.issued_at) for entry in entries):
            raise InputError(f"the service's key {key.fingerprint} did not count when the revocation list was issued")
        if found.service != self.roots.service_id:
            raise InputError(f"the revocation list is of the service {found.service!r}")
        return found

    def _check_people(self) -> str:
        no_twice(
            [fold_name(one.person.id) for one in self.signed], "one person signed twice; a bundle holds what counts now"
        )
        no_twice([one.key.identity for one in self.signed], "one key signed twice")
        no_twice([one.statement.predicate.nonce for one in self.signed], "two statements have one nonce")
        if len({one.statement.predicate.change.targetRef for one in self.signed}) != 1:
            raise InputError("the sign-offs are for different targets")
        if self._carry is not None:
            check_target(self._carry, self.signed[0].statement.predicate.change.targetRef)
        organizations = {fold_name(one.person.organization) for one in self.signed}
        return f"{len(self.signed)} people of {len(organizations)} organisations"

    def _check_policy(self) -> str | None:
        """The bytes are compared before they are parsed. What the bundle carries is used where none is given."""
        carried = self.bundle.policy
        given = carried if self.inputs.policy is None else self.inputs.policy
        if given is None:
            return None
        digest = sha256_hex(given)
        for one in self.signed:
            if one.statement.predicate.policy.digest.sha256 != digest:
                raise PolicyError(f"{one.person.id} signed under another policy than sha256:{digest}")
        if self.build is not None and self.build.statement.predicate.policy.sha256 != digest:
            raise PolicyError(f"{self.build.name} countersigned under another policy than sha256:{digest}")
        if carried is not None and carried != given:
            raise PolicyError(f"the bundle carries another policy than sha256:{digest}")
        self._policy = parse_policy(given)
        if self._carry is not None:
            check_allowed(self._carry, self._policy)
        return f"sha256:{digest}" + ("" if self.inputs.policy is not None else ", as the bundle carries it")

    def _check_subject(self) -> str:
        bundle = self.bundle
        bound: set[str] = set()
        for one, vote in zip(self.signed, self._votes, strict=True):
            check_change(one, manifest_of(bundle, vote, self._carry))
            digest = one.statement.evidence_digest(FACTS_NAME) or ""
            facts = bundle.facts.get(digest)
            if facts is None:
                raise InputError(f"the facts that {one.person.id} signed are not in the bundle")
            check_bound(facts, one.statement)
            bound.add(digest)
        bound |= check_carried(bundle, self._votes, self._carry)
        if bound != set(bundle.facts):
            raise InputError("there are facts in the bundle that nobody signed")
        build = check_recipe(bundle, self.build, [(one.person.id, one.statement) for one in self.signed])
        if build is not None:
            self._people = tuple((one.name, one.email) for one in build.measures.people or ())
        if self.open_repository is None:
            return f"{bundle.revision.digest} (repository and artifacts not looked at)"
        repository = self.open_repository()
        found = check_subject(bundle.revision, repository, self.inputs.artifacts)
        check_base(self._carry, repository, bundle.revision.base.commit)
        if build is not None:
            data = {one.name: one.value for one in build.measures.data}
            found += "; " + check_code(build.recipe, data, bundle.revision, repository)
        made, self._paths = made_and_touched(repository, dict.fromkeys((bundle.reviewed, bundle.revision)))
        self._people += made
        return found

    def _check_log(self) -> str:
        found = check_logged(self.bundle, self.roots, self._votes, self._list, self._carry, self.build, self._followed)
        self._found = found
        where = ", ".join(str(place.number) for place in (*found.places, found.build) if place is not None)
        by = "no witness is asked for" if found.newest_at is None else f"witnessed {found.newest_at:%Y-%m-%d %H:%M} UTC"
        return f"entry {where} of {found.newest.size} in {found.newest.origin}; {by}"

    @property
    def _list(self) -> Revocations:
        if self._revocations is None:
            raise InputError("the revocation list has not been read")
        return self._revocations

    @property
    def _in_log(self) -> LogFindings:
        if self._found is None:
            raise InputError("the log has not been looked at")
        return self._found

    def _check_freshness(self) -> str | None:
        """Without witnesses the checkpoint has no time but that of the list, which is the last thing in it."""
        if self._policy is None:
            return None
        rules, issued = self._policy.rules.log, self._list.issued_at
        for what, moment, hours in (
            ("checkpoint", self._in_log.newest_at or issued, rules.checkpoint_hours),
            ("revocation list", issued, rules.revocations_hours),
        ):
            if moment > self.inputs.now + CLOCK_SKEW:
                raise InputError(f"the {what} is from the future, {moment:%Y-%m-%d %H:%M} UTC")
            if moment + timedelta(hours=hours) <= self.inputs.now:
                raise InputError(f"the {what} of {moment:%Y-%m-%d %H:%M} UTC is over {hours} h old; get a new bundle")
        return f"revocation list {self._list.number} of {issued:%Y-%m-%d %H:%M} UTC"

    def _check_time(self) -> str:
        """Without a policy only the statements' own limits are known. A rollback's must have held once."""
        for one in self.signed:
            late = in_time(voter(one, self._counted_at), self._policy, self._counted_at)
            if late:
                raise InputError(late)
        check_times(self._carry, self._votes, self.inputs.now)
        if self.bundle.build is not None and self.build is not None:
            lane = check_build_time(self.bundle.build.recipe, self.build.statement, self._counted_at)
            return f"{lane}, rolled back to" if self.inputs.rollback else lane
        earliest = min(one.statement.expires_at for one in self.signed)
        if self.inputs.rollback and earliest <= self.inputs.now:
            return f"a rollback: expired at {earliest:%Y-%m-%d %H:%M} UTC"
        return f"counts until {earliest:%Y-%m-%d %H:%M} UTC"

    @property
    def _counted_at(self) -> datetime:
        """The time that limits are held against: now, or in a rollback when the last of the sign-offs was made."""
        if not self.inputs.rollback:
            return self.inputs.now
        last = max(one.statement.signed_at for one in self.signed)
        return min(self.inputs.now, last if self.build is None else max(last, self.build.statement.signed_at))

    def _check_revoked(self) -> str:
        check_revoked(self.bundle, self._votes, self._in_log, self._list, self._carry, self.build)
        return f"nothing of it is on revocation list {self._list.number}"

    def _judge(self) -> str:
        """Without a policy one thing is known to be asked all the same: that nobody vouches for their own work."""
        facts = policy_facts(
            tuple(self.bundle.facts.values()),
            votes=[voter(one, self._counted_at) for one in self.signed],
            people=self._people,
            paths=self._paths,
            roots=self.roots,
            now=self._counted_at,
        )
        self.requirements = evaluate(self._policy, facts) if self._policy else (independence(facts),)
        if not admits(self.requirements):
            unmet = [f"{one.name}: {one.reason}" for one in self.requirements if not one.state.met]
            raise PolicyError("; ".join(unmet) or "no requirement is met")
        return "; ".join(f"{one.name} {one.state}" for one in self.requirements)
