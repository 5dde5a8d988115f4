# SPDX-License-Identifier: Apache-2.0
"""destination-added and data-field-exposed: whereto, and what of whom."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from diffing._evidence import cut, shown
from diffing._words import words
from diffing.capabilities._sides import DOES, location, reached_from
from diffing.capabilities.tables import OUTWARD, Reach
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from diffing.capabilities._facts import Use
    from diffing.capabilities._sides import Base, Side, Sides
    from diffing.capabilities.destinations import Destination
    from diffing.capabilities.fields import UserData

_FEW = 10
_MOST = 20
_INWARD = frozenset({Reach.LOG, Reach.FILE_WRITE, Reach.DATABASE})
_WRITTEN = "It is written down; no call is seen to take it."


def destination_findings(sides: Sequence[Sides], base: Base) -> Iterator[Finding]:
    """destination-added: one finding for each destination and file."""
    for old, new in sides:
        if new is not None:
            yield from _destinations(old, new, base)


def _destinations(old: Side | None, new: Side, base: Base) -> Iterator[Finding]:
    gone = _gone(old, new)
    strong: dict[str, Finding] = {}
    for use in new.held.uses:
        weight = Severity.MEDIUM if use.reach in OUTWARD else Severity.LOW
        named_there = bool(use.origin) and not use.fresh  # by the file that has the sink, and told there
        for destination in use.destinations if use.reach is not Reach.LOG and not named_there else ():
            if destination.value not in base.hosts and destination.value not in strong:
                text = f"{use.api} reaches it: {use.text}"
                strong[destination.value] = _destination(
                    destination, weight, text, location(new.facts, use), gone.get(use.symbol)
                )
    weak: dict[str, Finding] = {}
    for named in new.held.named:
        value = named.destination.value
        if value in base.hosts or value in strong:
            continue
        place = named.name or new.facts.place(named.symbol)
        at = Location(new.facts.path, named.line, named.end_line, "head", place)
        if named.setting:
            text = f"The setting {named.name} names it."
            strong[value] = _destination(named.destination, Severity.MEDIUM, text, at, gone.get(named.name))
        elif value not in weak:
            weak[value] = _destination(
                named.destination, Severity.LOW, _WRITTEN, at, gone.get(named.name or named.symbol)
            )
    yield from strong.values()
    plain = [finding for finding in weak.values() if not finding.severity.at_least(Severity.MEDIUM)]
    yield from (finding for finding in weak.values() if finding.severity.at_least(Severity.MEDIUM))
    if len(plain) <= _FEW:
        yield from plain
    else:
        yield _many(plain, new)


def _gone(old: Side | None, new: Side) -> dict[str, str]:
    """By setting or function, the one destination that base had there and head has not."""
    if old is None:
        return {}
    now = {destination.value for destination in new.destinations()}
    gone: dict[str, set[str]] = defaultdict(set)
    for named in old.held.named:
        if named.destination.value not in now:
            gone[named.name or named.symbol].add(named.destination.value)
    for use in old.held.uses:
        gone[use.symbol].update(one.value for one in use.destinations if one.value not in now)
    return {where: values.pop() for where, values in gone.items() if len(values) == 1}


def _destination(destination: Destination, weight: Severity, text: str, at: Location, was: str | None) -> Finding:
    if destination.local:
        weight = Severity.INFO
    elif destination.covert:
        weight = Severity.HIGH
        text += " It is an address without a name of its own, or a relay that anybody can open."
    now = shown(destination.value)
    title = f"New destination: {now}" if was is None else f"Destination {shown(was)} is now {now}"
    return Finding(
        "destination-added",
        weight,
        cut(title),
        text,
        at,
        {"kind": destination.kind, "name": now, "old": shown(was), "new": now},
        (at.path, destination.kind, destination.value),
    )


def _many(findings: Sequence[Finding], new: Side) -> Finding:
    """Many addresses that nothing is seen to reach are data."""
    values = sorted(str(finding.evidence["new"]) for finding in findings)
    at = findings[0].location
    return Finding(
        "destination-added",
        Severity.LOW,
        cut(f"{len(values):,} hosts written down in {new.facts.path}"),
        f"For example {', '.join(values[:5])}. {_WRITTEN}",
        at,
        {"kind": "host", "count": len(values), "sample": values[:10], "old": None, "new": None},
        (new.facts.path, "many", *values[:1000]),
    )


def exposure_findings(sides: Sequence[Sides], destinations: Iterable[Finding]) -> Iterator[Finding]:
    """data-field-exposed: user data that reaches a sink of head and reached none of its kind in base."""
    hosts = {str(finding.evidence["new"]) for finding in destinations if finding.severity.at_least(Severity.MEDIUM)}
    before = {
        (use.reach, field.category, _last(field))
        for old, _ in sides
        if old is not None
        for use in old.held.uses
        for field in use.fields
    }
    for _, new in sides:
        if new is not None:
            yield from _exposed(new, before, hosts)


def _exposed(new: Side, before: set[tuple[Reach, str, str]], hosts: set[str]) -> Iterator[Finding]:
    found: dict[tuple[Reach, str, str], list[tuple[Use, UserData]]] = defaultdict(list)
    for use in new.held.uses:
        if use.reach not in OUTWARD | _INWARD:
            continue
        for field in use.fields:
            if (use.reach, field.category, _last(field)) not in before:
                found[use.reach, use.package, field.category].append((use, field))
    for (reach, package, category), hits in found.items():
        fields = sorted({field.name for _, field in hits})
        uses = [use for use, _ in hits]
        whereto = sorted({destination.value for use in uses for destination in use.destinations})
        fresh = sorted(hosts & set(whereto))
        severity = Severity.LOW if reach in _INWARD else Severity.HIGH if fresh else Severity.MEDIUM
        first = min(uses, key=lambda use: (len(use.through), use.line))
        way = f" by way of {' and '.join(first.through)}" if first.through else ""
        to = (
            f" to {', '.join(whereto[:3])}"
            if whereto
            else ""
            if reach in _INWARD
            else " to where the code does not tell"
        )
        yield Finding(
            "data-field-exposed",
            severity,
            cut(f"User data ({category}: {', '.join(fields)}) reaches {first.api}{to}"),
            f"{first.text}{way}. {new.facts.module} {DOES[reach]}"
            + (f"; {fresh[0]} is a new destination." if fresh else "."),
            location(new.facts, first),
            {
                "name": category,
                "category": category,
                "fields": fields[:_MOST],
                "kind": reach.value,
                "package": package,
                "destinations": [shown(value) for value in whereto[:_MOST]],
                "lines": sorted({use.line for use in uses})[:_MOST],
                "reached_from": reached_from([use.symbol for use in uses], new.held),
            },
            (new.facts.path, reach, package, category, *fields),
        )


def _last(field: UserData) -> str:
    return " ".join(sorted(words(field.name.rpartition(".")[2])))
