# SPDX-License-Identifier: Apache-2.0
"""capability-added for what a file newly reaches by way of other files, and what could not be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._evidence import cut, shown
from diffing.capabilities._sides import DOES, evidence_of, location
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.capabilities._calls import Call
    from diffing.capabilities._facts import Use
    from diffing.capabilities._following import Following
    from diffing.capabilities._sides import Place, Side, Sides

_MOST = 20


def beyond_findings(sides: Sequence[Sides], following: Following) -> Iterator[Finding]:
    """What head reaches by way of other files, where no changed file of base reached it."""
    left = _left(sides)
    fresh = {
        (new.facts.path, place)
        for old, new in sides
        if new is not None
        for place in new.uses
        if old is None or place not in old.uses
    }
    for old, new in sides:
        if new is None:
            continue
        before = {*old.uses, *old.far} if old is not None else set()
        for place, uses in new.far.items():
            told = [use for use in uses if (use.origin, place) not in fresh]  # what is new there is told there
            if told and place not in before and place not in new.uses and place not in left:
                yield _reached(place, told, new)
        path = new.facts.path
        calls, count = following.unresolved.get(path, ()), following.cut.get(path, 0)
        if calls or count:
            yield _unfollowed(calls, count, new)


def _left(sides: Sequence[Sides]) -> set[Place]:
    """What a file of base reached in whatever way and the same file of head no longer does."""
    found: set[Place] = set()
    for old, new in sides:
        if old is not None:
            now: set[Place] = {*new.uses, *new.far} if new is not None else set()
            found |= {*old.uses, *old.far} - now
    return found


def _reached(place: Place, uses: Sequence[Use], new: Side) -> Finding:
    reach, package = place
    first = min(uses, key=lambda use: (len(use.through), use.line))
    way = f"{first.text} leads to {first.api} by way of {' and '.join(reversed(first.through))}"
    return Finding(
        "capability-added",
        Severity.LOW,
        cut(f"{new.facts.module or new.facts.path} {DOES[reach]} by way of {first.origin}"),
        f"{way}. {first.origin} could do so before; base does not get there from this file.",
        location(new.facts, first),
        {
            **evidence_of(place, uses, new),
            "through": list(first.through)[:_MOST],
            "origins": sorted({use.origin for use in uses})[:_MOST],
            "unresolved": not all(use.settled for use in uses),
        },
        (new.facts.path, "beyond", reach, package),
    )


def _unfollowed(calls: Sequence[Call], count: int, new: Side) -> Finding:
    names = list(dict.fromkeys(call.name for call in calls))
    parts = [f"{len(names):,} lead to files that have no such function, or one that cannot be read"] if names else []
    parts += [f"{count:,} were not followed to their end"] if count else []
    place = Location(new.facts.path, calls[0].line, calls[0].end_line, "head") if calls else Location(new.facts.path)
    unknown = "what those reach is not known." + (f" For example {', '.join(map(shown, names[:3]))}." if names else "")
    return Finding(
        "capability-added",
        Severity.INFO,
        cut(f"{new.facts.module or new.facts.path} makes calls that could not be followed"),
        f"Of its new calls into other files of the repository {' and '.join(parts)}: {unknown}",
        place,
        {"kind": "calls", "unresolved": True, "names": [shown(name) for name in names[:_MOST]], "cut": count},
        (new.facts.path, "unfollowed"),
    )
