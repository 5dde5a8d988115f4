# SPDX-License-Identifier: Apache-2.0
"""Both sides of all changed files, as capabilities are compared over them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from diffing._evidence import shown
from diffing.capabilities.tables import Reach
from evidence import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from diffing._facts import Facts
    from diffing.capabilities._facts import Capabilities, Use
    from diffing.capabilities.destinations import Destination

DOES: Mapping[Reach, str] = {
    Reach.HTTP: "calls other hosts over HTTP",
    Reach.SOCKET: "opens network connections",
    Reach.CLOUD: "uses a cloud service",
    Reach.QUEUE: "uses a message queue",
    Reach.MAIL: "sends mail or messages",
    Reach.PROCESS: "runs other programs",
    Reach.CODE: "makes or loads code while it runs",
    Reach.TELEMETRY: "reports to a telemetry service",
    Reach.DATABASE: "uses a database",
    Reach.FILE_WRITE: "writes files",
    Reach.FILE_READ: "reads files",
    Reach.ENVIRONMENT: "reads the environment",
    Reach.RUNTIME: "reads flags or remote configuration",
    Reach.LOG: "writes logs",
}
_MOST = 20

Place = tuple[Reach, str]


class Side(NamedTuple):
    """One side of one file, with its uses by what they do and the package that does it.

    ``far`` are those by way of other files.
    """

    facts: Facts
    held: Capabilities
    uses: Mapping[Place, Sequence[Use]]
    far: Mapping[Place, Sequence[Use]]

    def destinations(self) -> Iterator[Destination]:
        """Every destination that it names or reaches."""
        for use in self.held.uses:
            yield from use.destinations
        for named in self.held.named:
            yield named.destination


Sides = tuple[Side | None, Side | None]


def side_of(facts: Facts | None) -> Side | None:
    """A side for the comparison; None where nothing is known of its capabilities."""
    if facts is None or facts.capabilities is None:
        return None
    uses: dict[Place, list[Use]] = defaultdict(list)
    far: dict[Place, list[Use]] = defaultdict(list)
    for use in facts.capabilities.uses:
        if use.origin:
            far[use.reach, use.package].append(use)
        elif not use.through:
            uses[use.reach, use.package].append(use)
    return Side(facts, facts.capabilities, uses, far)


class Base:
    """What base could do, over all changed files: ``left`` is what a file of it no longer does.

    ``hosts`` are destinations that base names, there and in the files that were opened beside them.
    """

    def __init__(self, sides: Sequence[Sides], hosts: Iterable[str] = ()) -> None:
        self.places: set[Place] = set()
        self.left: set[Place] = set()
        self.hosts: set[str] = set(hosts)
        for old, new in sides:
            if old is None:
                continue
            for place in old.uses:
                self.places.add(place)
                if new is None or place not in new.uses:
                    self.left.add(place)
            self.hosts |= {destination.value for destination in old.destinations()}


def location(facts: Facts, use: Use) -> Location:
    """Where a use stands."""
    return Location(facts.path, use.line, use.end_line, "head", facts.place(use.symbol))


def apis(uses: Sequence[Use]) -> list[str]:
    """The calls of several uses, by name, each once, in source order."""
    return list(dict.fromkeys(use.api for use in uses))


def evidence_of(place: Place, uses: Sequence[Use], side: Side) -> dict[str, Any]:
    """What several uses of one kind come to."""
    reach, package = place
    destinations = dict.fromkeys(destination.value for use in uses for destination in use.destinations)
    symbols = list(dict.fromkeys(use.symbol for use in uses))
    return {
        "kind": reach.value,
        "package": package,
        "apis": apis(uses)[:_MOST],
        "destinations": [shown(value) for value in destinations][:_MOST],
        "fields": sorted({f"{field.category}: {field.name}" for use in uses for field in use.fields})[:_MOST],
        "lines": [use.line for use in uses][:_MOST],
        "reached_from": reached_from(symbols, side.held),
    }


def reached_from(symbols: Sequence[str], held: Capabilities) -> list[str]:
    """The entry points of the file that get to one of ``symbols``: handlers, and what nothing else in it calls."""
    callers: dict[str, set[str]] = defaultdict(set)
    for caller, called in held.calls.items():
        owner = caller.rpartition(".")[0]
        for name in called:
            callers[name].add(caller)
            callers[f"{owner}.{name}"].add(caller)
    reached, stack = set(symbols), list(symbols)
    while stack:
        for caller in callers.get(stack.pop(), ()):
            if caller not in reached:
                reached.add(caller)
                stack.append(caller)
    entries = reached & held.entries
    roots = entries or {symbol for symbol in reached if not callers.get(symbol, set()) - {symbol}}
    return [symbol or "the module itself" for symbol in sorted(roots)][:_MOST]
