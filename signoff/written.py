# SPDX-License-Identifier: Apache-2.0
"""Judging what the reviewer wrote into the policy: requirements, lanes, and what an expedited approval sets aside."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from signoff.expressions import UnknownFactError
from signoff.roots import fold_name
from signoff.rules import FactsLookup, condition, distinct_people, lane_of
from signoff.states import Requirement, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signoff.policy import PolicyDocument
    from signoff.requirements import Facts, Voter
    from signoff.rules import Expedited, WrittenRequirement


def written(rules: PolicyDocument, facts: Facts, counted: Sequence[Voter]) -> list[Requirement]:
    """The lane, where there are lanes, and each written requirement, in the policy's order."""
    found = []
    lane = lane_of(rules.lanes, facts, counted) if rules.lanes else None
    if rules.lanes and lane is None:
        found.append(Requirement("lane", State.ERROR, "the revision fits no lane of the policy"))
    elif lane is not None:
        people, organizations = distinct_people(counted), len({fold_name(vote.organization) for vote in counted})
        met = people >= lane.people and organizations >= lane.organizations
        reason = f"{lane.name}: {people} of {lane.people} people, {organizations} of {lane.organizations} organisations"
        found.append(Requirement("lane", State.SATISFIED if met else State.UNSATISFIED, reason))
    lookup = FactsLookup(facts, counted, lane.name if lane else None)
    return found + [Requirement(one.name, *_judged(one, lookup)) for one in rules.requirements]


def set_aside(
    rule: Expedited | None, found: Sequence[Requirement], facts: Facts, counted: Sequence[Voter]
) -> list[Requirement]:
    """What expedited approvals change: the requirements that policy names are overridden, for a while, if it may be.

    An approval that says it is expedited counts under this lane alone: without it, or beyond its hours, it is refused.
    """
    hurried = [vote for vote in counted if vote.expedited]
    if not hurried:
        return list(found)
    state, reason = _expedited(rule, facts, hurried)
    judged = Requirement("expedited", state, reason)
    if rule is None or not state.met:
        return [*found, judged]
    return [
        Requirement(one.name, State.OVERRIDDEN, f"set aside by the expedited lane: {one.reason}")
        if one.name in rule.sets_aside and not one.state.met
        else one
        for one in (*found, judged)
    ]


def _expedited(rule: Expedited | None, facts: Facts, hurried: Sequence[Voter]) -> tuple[State, str]:
    if rule is None:
        return State.UNSATISFIED, "the policy has no expedited lane"
    try:
        may = condition(rule.when).evaluate(FactsLookup(facts, hurried, None))
    except UnknownFactError as error:
        return State.ERROR, f"cannot be judged: {error}"
    if not may:
        return State.UNSATISFIED, "this revision may not take the expedited lane"
    organizations = len({fold_name(vote.organization) for vote in hurried})
    if organizations < rule.organizations or distinct_people(hurried) < rule.organizations:
        return State.UNSATISFIED, f"{organizations} of {rule.organizations} organisations approve it as expedited"
    first = min(vote.signed_at for vote in hurried)
    ends = first + timedelta(hours=rule.hours)
    if ends <= facts.now:
        return State.UNSATISFIED, f"the expedited approval ended at {ends:%Y-%m-%d %H:%M} UTC; review it in full"
    due = first + timedelta(hours=rule.review_within_hours)
    return State.SATISFIED, f"until {ends:%Y-%m-%d %H:%M} UTC; a full review is due by {due:%Y-%m-%d %H:%M} UTC"


def _judged(rule: WrittenRequirement, lookup: FactsLookup) -> tuple[State, str]:
    try:
        if not condition(rule.applies_if).evaluate(lookup):
            return State.NOT_APPLICABLE, f"not ({rule.applies_if})"
        if condition(rule.met_if).evaluate(lookup):
            return State.SATISFIED, rule.met_if
        if rule.override_if is not None and condition(rule.override_if).evaluate(lookup):
            return State.OVERRIDDEN, f"{rule.override_if}, though not ({rule.met_if})"
    except UnknownFactError as error:
        return State.ERROR, f"cannot be judged: {error}"
    return State.UNSATISFIED, f"not ({rule.met_if})"
