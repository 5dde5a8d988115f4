# SPDX-License-Identifier: Apache-2.0
"""What the policy asks of a revision, requirement by requirement, in Gerrit's states.

One pure function over plain facts: the page shows it while a review is open, the gate runs it over what was signed.
What is unknown is not met.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from evidence import Severity, Verdict
from signoff.roots import fold_email, fold_name
from signoff.rules import distinct_people
from signoff.states import Requirement, State
from signoff.written import set_aside, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from signoff.policy import Policy
    from signoff.roots import Person
    from signoff.statement import Decision, Override, Statement

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Voter:
    """A sign-off as policy sees it: who the roots file says signed it by which key, and what it says."""

    person: str
    organization: str
    roles: frozenset[str]
    emails: frozenset[str]
    key: str  # the identity of the key: one a public key, however it is wrapped
    decision: Decision
    override: Override | None
    signed_at: datetime
    expires_at: datetime
    synced: bool = False  # signed by a passkey that may leave its device
    expedited: bool = False  # given under the expedited lane
    declared: str | None = "nothing"  # why their declaration of independence does not hold; None if it does


@dataclass(frozen=True, slots=True)
class ChangePerson:
    """Somebody who made the change: author, committer, co-author, pusher. ``person`` is their id, if they are known."""

    name: str
    email: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceFact:
    """What one piece of evidence came to. ``unsafe`` evidence was made without a sandbox."""

    name: str
    verdict: Verdict
    unsafe: bool = False
    made_at: datetime | None = None  # unknown where nobody says


@dataclass(frozen=True, slots=True)
class FindingFact:
    """A finding, and who answered it, if anybody did."""

    id: str
    rule: str
    severity: Severity
    answered_by: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that policy is judged on, about one revision at one time."""

    now: datetime
    votes: tuple[Voter, ...]
    people: tuple[ChangePerson, ...]
    evidence: tuple[EvidenceFact, ...]
    findings: tuple[FindingFact, ...]
    paths: tuple[str, ...] | None = None  # what the change touches; None where it is not known
    files: tuple[int, int, int] | None = None  # how many it touches, were viewed, were waived
    threads: tuple[int, int] | None = None  # how many are open, and how many of those block; None where not known


def evaluate(policy: Policy | None, facts: Facts) -> tuple[Requirement, ...]:
    """Judge ``facts`` by ``policy``.

    What is *not* checked: that the facts are true. The gate binds them to what was signed and to the repository.

    Args:
        policy: the policy, or None where there is none that can be read.
        facts: what is known of the revision.

    Returns:
        Every requirement of the policy in a fixed order, none left out; `admits` says whether they let it through.
    """
    if policy is None:
        return (Requirement("policy", State.ERROR, "there is no policy that can be read"),)
    counted = _counted(policy, facts)
    checks: tuple[tuple[str, Callable[[], tuple[State, str]]], ...] = (
        ("approvals", lambda: _approvals(policy, counted)),
        ("no-rejection", lambda: _no_rejection(facts)),
        ("keys", lambda: _keys(policy, counted)),
        ("independence", lambda: _independence(facts)),
        ("declarations", lambda: _declarations(policy, counted)),
        ("evidence", lambda: _evidence(policy, facts)),
        ("safe-evidence", lambda: _safe_evidence(facts)),
        ("verdict", lambda: _verdict(policy, facts, counted)),
        ("findings-answered", lambda: _findings(policy, facts)),
    )
    found = [Requirement(name, *check()) for name, check in checks]
    found += written(policy.rules, facts, counted)
    return tuple(set_aside(policy.rules.expedited, found, facts, counted))


def independence(facts: Facts) -> Requirement:
    """Whether nobody approves what they had a hand in, which no policy can set aside."""
    return Requirement("independence", *_independence(facts))


def declared(person: Person, statement: Statement, now: datetime) -> str | None:
    """Why somebody's declaration of independence does not hold for a statement, when it was signed and now; or None."""
    if person.independence is None:
        return "there is none in the roots"
    if statement.predicate.independence.declarationDigest.sha256 != person.independence.digest_for(person.id)[7:]:
        return "the statement names another"
    moments = (statement.signed_at, now)
    return next(filter(None, (person.independence.conflict(person.organization, at) for at in moments)), None)


def admits(requirements: Sequence[Requirement]) -> bool:
    """Whether a revision may go out: there are requirements, none is unmet, and one at least is really met."""
    return all(requirement.state.met for requirement in requirements) and any(
        requirement.state in {State.SATISFIED, State.OVERRIDDEN} for requirement in requirements
    )


def in_time(vote: Voter, policy: Policy | None, now: datetime) -> str | None:
    """Why a statement does not count at ``now``, or None if it does. Without a policy its own limits alone hold."""
    if vote.signed_at > now + CLOCK_SKEW:
        return f"{vote.person} signed in the future, at {vote.signed_at:%Y-%m-%d %H:%M} UTC"
    if vote.expires_at <= now:
        return f"the sign-off by {vote.person} expired at {vote.expires_at:%Y-%m-%d %H:%M} UTC"
    if policy and vote.signed_at + policy.max_age <= now:
        return f"the sign-off by {vote.person} is older than {policy.max_age.days} days"
    return None


def _counted(policy: Policy, facts: Facts) -> tuple[Voter, ...]:
    """The approvals that count: of the right role, in time, and unconditional where policy wants it."""
    rules = policy.rules.approvals
    return tuple(
        vote
        for vote in facts.votes
        if vote.decision.approves
        and (rules.with_conditions or vote.decision.value == "APPROVED")
        and vote.roles & set(rules.roles)
        and in_time(vote, policy, facts.now) is None
    )


def _approvals(policy: Policy, counted: Sequence[Voter]) -> tuple[State, str]:
    rules = policy.rules.approvals
    organizations = {fold_name(vote.organization) for vote in counted}
    distinct = distinct_people(counted)
    reason = f"{distinct} of {rules.people} approvals, {len(organizations)} of {rules.organizations} organisations"
    met = distinct >= rules.people and len(organizations) >= rules.organizations
    return (State.SATISFIED if met else State.UNSATISFIED), reason


def _keys(policy: Policy, counted: Sequence[Voter]) -> tuple[State, str]:
    """A synced passkey is as safe as an account in somebody's cloud: policy has to want it."""
    synced = sorted(vote.person for vote in counted if vote.synced)
    if synced and not policy.rules.signing.synced_passkeys:
        return State.UNSATISFIED, f"{', '.join(synced)} signed by a passkey that is synced, which the policy refuses"
    return State.SATISFIED, "no approval is by a synced passkey" if not synced else "the policy takes synced passkeys"


def _no_rejection(facts: Facts) -> tuple[State, str]:
    against = sorted(vote.person for vote in facts.votes if not vote.decision.approves)
    if against:
        return State.UNSATISFIED, f"rejected or revoked by {', '.join(against)}"
    return State.SATISFIED, "nobody rejects it"


def _independence(facts: Facts) -> tuple[State, str]:
    """Nobody vouches for their own work. Addresses in commits are claims: what matches is refused, no match proves."""
    if not facts.people:
        return State.ERROR, "nobody is known to have made the change"
    emails = {fold_email(person.email) for person in facts.people}
    known = {person.person for person in facts.people if person.person is not None}
    for vote in facts.votes:
        if not vote.decision.approves:
            continue
        if not vote.emails:
            return (
                State.ERROR,
                f"{vote.person} has no address in the roots, so nobody can say that they are independent",
            )
        if vote.person in known or vote.emails & emails:
            return State.UNSATISFIED, f"{vote.person} approves a change that they made themselves"
    return State.SATISFIED, f"made by {len(emails)} people, none of whom approves it"


def _declarations(policy: Policy, counted: Sequence[Voter]) -> tuple[State, str]:
    if not policy.rules.independence.declarations:
        return State.NOT_APPLICABLE, "the policy asks for no structured declaration of independence"
    lacking = [f"{vote.person}: {vote.declared}" for vote in counted if vote.declared is not None]
    if lacking or not counted:
        return State.UNSATISFIED, "; ".join(lacking) or "nobody approves it"
    return State.SATISFIED, "every approval stands by a declaration that holds"


def _evidence(policy: Policy, facts: Facts) -> tuple[State, str]:
    missing = sorted(set(policy.rules.evidence.required) - {piece.name for piece in facts.evidence})
    if missing:
        return State.UNSATISFIED, f"no {', '.join(missing)}"
    return State.SATISFIED, f"{', '.join(sorted(policy.rules.evidence.required))} are there"


def _safe_evidence(facts: Facts) -> tuple[State, str]:
    unsafe = sorted(piece.name for piece in facts.evidence if piece.unsafe)
    if unsafe:
        return State.UNSATISFIED, f"{', '.join(unsafe)} ran without a sandbox; run it again in one"
    return State.SATISFIED, "all evidence was made in the sandbox"


def _verdict(policy: Policy, facts: Facts, counted: Sequence[Voter]) -> tuple[State, str]:
    verdict = Verdict.combine(*(piece.verdict for piece in facts.evidence))
    if verdict not in policy.rules.evidence.admit_verdicts:
        return State.UNSATISFIED, f"the verdict is {verdict}, which the policy does not admit"
    if verdict is Verdict.PASS:
        return State.SATISFIED, "the verdict is pass"
    explicit = [vote.override is not None and vote.override.verdict is verdict for vote in counted]
    if explicit and all(explicit):
        return State.OVERRIDDEN, f"the verdict is {verdict}; every approval gives a reason to overrule it"
    return State.UNSATISFIED, f"the verdict is {verdict}; each approval must overrule it by name, with a reason"


def _findings(policy: Policy, facts: Facts) -> tuple[State, str]:
    least = policy.rules.findings.answer_severity
    asked = [finding for finding in facts.findings if finding.severity.at_least(least)]
    if not asked:
        return State.NOT_APPLICABLE, f"no finding at {least} or above"
    makers = {person.person for person in facts.people if person.person is not None}
    unanswered = [finding for finding in asked if finding.answered_by is None or finding.answered_by in makers]
    if unanswered:
        first = unanswered[0]
        return State.UNSATISFIED, f"{len(unanswered)} of {len(asked)} unanswered, first {first.rule} ({first.severity})"
    return State.SATISFIED, f"all {len(asked)} at {least} or above are answered"
