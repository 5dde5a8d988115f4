# SPDX-License-Identifier: Apache-2.0
"""What a reviewer writes into the policy beyond its fixed tables: requirements, risk lanes, and an expedited lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import InputError, PolicyError, Severity, Verdict
from signoff._strict import Line, StrictModel
from signoff.expressions import Call, Expression, Kind, Language, UnknownFactError, parse_condition
from signoff.globs import matches, parse_glob
from signoff.roots import fold_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from signoff.requirements import Facts, Voter

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
LaneName = Literal["routine", "standard", "critical"]
_NEVER_OVERRIDDEN = frozenset(
    {"approvals", "no-rejection", "keys", "independence", "declarations", "safe-evidence", "expedited"}
)


class WrittenRequirement(StrictModel):
    """A requirement as written. It applies where ``applies_if`` holds, always if that is left out."""

    name: Name
    applies_if: Line = "true"
    met_if: Line
    override_if: Line | None = None


class Lane(StrictModel):
    """A risk lane: which revisions are in it, and who must approve those."""

    name: LaneName
    when: Line
    people: Annotated[int, Field(ge=1, le=100)]
    organizations: Annotated[int, Field(ge=1, le=100)]


class Expedited(StrictModel):
    """The expedited lane: when it may be taken, what it sets aside and how long, and by when a full review is due."""

    when: Line
    sets_aside: Annotated[tuple[Name, ...], Field(min_length=1)]
    organizations: Annotated[int, Field(ge=2, le=100)]
    hours: Annotated[int, Field(ge=1, le=168)]
    review_within_hours: Annotated[int, Field(ge=1, le=720)]


def _any_text(text: str) -> object:
    if not text:
        raise InputError("empty")
    return text


LANGUAGE = Language(
    names={
        "people": Kind.NUMBER,
        "organizations": Kind.NUMBER,
        "files": Kind.NUMBER,
        "viewed": Kind.NUMBER,
        "waived": Kind.NUMBER,
        "open_threads": Kind.NUMBER,
        "open_blocking_threads": Kind.NUMBER,
        "verdict": Kind.TEXT,
        "lane": Kind.TEXT,
        "paths": Kind.SET,
        "rules": Kind.SET,
        "severities": Kind.SET,
        "verdicts": Kind.SET,
        "approvers": Kind.SET,
        "approving_organizations": Kind.SET,
        "makers": Kind.SET,
    },
    calls={
        "touches": Call(Kind.TRUTH, 50, parse_glob, "a pattern of paths"),
        "only": Call(Kind.TRUTH, 50, parse_glob, "a pattern of paths"),
        "findings": Call(Kind.NUMBER, 1, Severity, "a severity"),
        "unanswered": Call(Kind.NUMBER, 1, Severity, "a severity"),
        "count": Call(Kind.NUMBER, 1, _any_text, "the name of a rule"),
        "verdict_of": Call(Kind.TEXT, 1, _any_text, "the name of a piece of evidence"),
        "age_hours": Call(Kind.NUMBER, 1, _any_text, "the name of a piece of evidence"),
        "approvals_by": Call(Kind.NUMBER, 1, _any_text, "a role"),
    },
)


def check_rules(
    requirements: Sequence[WrittenRequirement],
    lanes: Sequence[Lane],
    expedited: Expedited | None,
    fixed: frozenset[str],
    what: str,
) -> None:
    """Refuse what could not be judged, or could not be met.

    Raises:
        PolicyError: an expression that is none, a name twice or of a fixed requirement, a lane twice or out of order,
            a lane that speaks of lanes, or an expedited lane that sets aside what nothing may.
    """
    names = [one.name for one in requirements]
    for name in names:
        if names.count(name) > 1 or name in fixed:
            raise PolicyError(f"{what}: a requirement {name!r} is there already")
    for one in requirements:
        for text in (one.applies_if, one.met_if, one.override_if or "false"):
            parse_condition(text, LANGUAGE, f"{what}: requirement {one.name}")
    order = ["critical", "standard", "routine"]
    found = [order.index(lane.name) for lane in lanes]
    if found != sorted(set(found)):
        raise PolicyError(f"{what}: lanes stand from critical to routine, each once")
    without = Language({name: kind for name, kind in LANGUAGE.names.items() if name != "lane"}, LANGUAGE.calls)
    for lane in lanes:
        parse_condition(lane.when, without, f"{what}: lane {lane.name}")
        if lane.organizations > lane.people:
            raise PolicyError(f"{what}: lane {lane.name}: organizations is above people; nothing could meet it")
    if expedited is not None:
        parse_condition(expedited.when, LANGUAGE, f"{what}: expedited")
        refused = sorted(set(expedited.sets_aside) & _NEVER_OVERRIDDEN)
        unknown = sorted(set(expedited.sets_aside) - fixed - set(names))
        if refused or unknown:
            raise PolicyError(f"{what}: expedited cannot set aside {(refused or unknown)[0]!r}")


def lane_of(lanes: Sequence[Lane], facts: Facts, counted: Sequence[Voter]) -> Lane | None:
    """The first lane whose condition holds; where its facts are unknown too, since it stands before milder ones."""
    lookup = FactsLookup(facts, counted, None)
    for lane in lanes:
        try:
            if condition(lane.when).evaluate(lookup):
                return lane
        except UnknownFactError:
            return lane
    return None


def condition(text: str) -> Expression:
    """An expression of a policy that was read, so it is known to be one."""
    return parse_condition(text, LANGUAGE, "policy")


class FactsLookup:
    """The values of names and calls for one revision."""

    def __init__(self, facts: Facts, counted: Sequence[Voter], lane: str | None) -> None:
        self._facts = facts
        self._counted = counted
        self._lane = lane

    def __call__(self, name: str, given: tuple[str, ...] | None) -> Any:  # noqa: ANN401 - the expression knows its kind
        """The value of a name, or of a call with these texts.

        Raises:
            UnknownFactError: the facts do not hold it.
        """
        if given is not None:
            return getattr(self, f"_call_{name}")(*given)
        names: Mapping[str, Callable[[], Any]] = {
            "people": lambda: float(distinct_people(self._counted)),
            "organizations": lambda: float(len(self._organizations())),
            "files": lambda: self._file_counts()[0],
            "viewed": lambda: self._file_counts()[1],
            "waived": lambda: self._file_counts()[2],
            "open_threads": lambda: self._thread_counts()[0],
            "open_blocking_threads": lambda: self._thread_counts()[1],
            "verdict": lambda: Verdict.combine(*(piece.verdict for piece in self._facts.evidence)).value,
            "lane": lambda: self._known(self._lane, "no lane fits"),
            "paths": lambda: frozenset(self._paths()),
            "rules": lambda: frozenset(finding.rule for finding in self._facts.findings),
            "severities": lambda: frozenset(finding.severity.value for finding in self._facts.findings),
            "verdicts": lambda: frozenset(piece.verdict.value for piece in self._facts.evidence),
            "approvers": lambda: frozenset(vote.person for vote in self._counted),
            "approving_organizations": lambda: frozenset(vote.organization for vote in self._counted),
            "makers": lambda: frozenset(
                text for one in self._facts.people for text in (one.name, one.email, one.person or "") if text
            ),
        }
        return names[name]()

    @staticmethod
    def _known(value: Any, why: str) -> Any:  # noqa: ANN401 - whatever may be None
        if value is None:
            raise UnknownFactError(why)
        return value

    def _paths(self) -> tuple[str, ...]:
        paths: tuple[str, ...] = self._known(self._facts.paths, "which paths it touches is not known")
        if not paths:
            raise UnknownFactError("it touches no path")
        return paths

    def _file_counts(self) -> tuple[float, float, float]:
        return tuple(map(float, self._known(self._facts.files, "how many files were seen is not known")))  # type: ignore[return-value]

    def _thread_counts(self) -> tuple[float, float]:
        return tuple(map(float, self._known(self._facts.threads, "how many threads are open is not known")))  # type: ignore[return-value]

    def _organizations(self) -> set[str]:
        return {fold_name(vote.organization) for vote in self._counted}

    def _call_touches(self, *patterns: str) -> bool:
        wanted = [parse_glob(pattern) for pattern in patterns]
        return any(matches(pattern, path) for path in self._paths() for pattern in wanted)

    def _call_only(self, *patterns: str) -> bool:
        wanted = [parse_glob(pattern) for pattern in patterns]
        return all(any(matches(pattern, path) for pattern in wanted) for path in self._paths())

    def _call_findings(self, severity: str) -> float:
        return float(sum(one.severity.at_least(Severity(severity)) for one in self._facts.findings))

    def _call_unanswered(self, severity: str) -> float:
        least = Severity(severity)
        open_ = [one for one in self._facts.findings if one.answered_by is None and one.severity.at_least(least)]
        return float(len(open_))

    def _call_count(self, rule: str) -> float:
        return float(sum(one.rule == rule for one in self._facts.findings))

    def _call_verdict_of(self, name: str) -> str:
        found = [piece.verdict for piece in self._facts.evidence if piece.name == name]
        if not found:
            raise UnknownFactError(f"there is no {name}")
        return Verdict.combine(*found).value

    def _call_age_hours(self, name: str) -> float:
        made = [piece.made_at for piece in self._facts.evidence if piece.name == name]
        known = [moment for moment in made if moment is not None]
        if not known or len(known) != len(made):
            raise UnknownFactError(f"when the {name} was made is not known")
        return (self._facts.now - min(known)).total_seconds() / 3600

    def _call_approvals_by(self, role: str) -> float:
        return float(distinct_people([vote for vote in self._counted if role in vote.roles]))


def distinct_people(votes: Sequence[Voter]) -> int:
    """How many distinct people with distinct keys these votes are by."""
    return min(len({fold_name(vote.person) for vote in votes}), len({vote.key for vote in votes}))
