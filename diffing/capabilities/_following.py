# SPDX-License-Identifier: Apache-2.0
"""Following calls out of changed files: into files that did not change, and into each other.

Only what takes data out or makes code counts here. Nothing is opened for a change whose files call the same functions
with the same data as before; else both sides are followed, so that what base reached already is not new.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from diffing.capabilities._reading import led
from diffing.capabilities.tables import OUTWARD, Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from diffing.capabilities._calls import Argument, Call
    from diffing.capabilities._elsewhere import Elsewhere, Found
    from diffing.capabilities._facts import Capabilities, Use

    Said = tuple[tuple[str, tuple[Argument, ...]], Found | None]

FOLLOWED = OUTWARD | {Reach.CODE}
_HOPS = 4  # files on the way from a call to the sink
_MOST_USES = 20  # of one function that are told apart
_MOST_CALLS = 20_000
_MOST_STEPS = 1_000_000  # functions and calls that are looked at on one side
_MOST_INSIDE = 500  # functions of one file that a call leads to
_CONSTRUCTORS = ("__init__", "constructor", "initialize")

Function = tuple[str, str]  # path and symbol


class Followed(NamedTuple):
    """A side of a file, as it is followed."""

    path: str
    language: str
    held: Capabilities


class Opener(Protocol):
    """Reads files that did not change."""

    def may_hold(self, path: str, word: str) -> bool:
        """Whether a file is worth opening for a name."""

    def open(self, path: str) -> Followed | None:
        """The file; None where it cannot be read."""


@dataclass(slots=True)
class Following:
    """What came of following.

    ``unresolved`` are calls that lead to a file but to no function in it, by path; ``cut`` how many calls of a file
    were not followed to their end; ``hosts`` the destinations of the files that were opened.
    """

    unresolved: dict[str, list[Call]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)


def follow(pairs: Sequence[tuple[Followed | None, Followed | None]], elsewhere: Elsewhere, opener: Opener) -> Following:
    """Add to both sides of every pair the uses that calls into other files lead to."""
    result = Following()
    changed = {side.path for pair in pairs for side in pair if side is not None}
    heads = _World({new.path: new for _, new in pairs if new}, changed, elsewhere, opener)
    bases = _World({old.path: old for old, _ in pairs if old}, changed, elsewhere, opener)
    left = _MOST_CALLS
    reached: set[str] = set()
    for old, new in pairs:
        if new is None:
            continue
        before = bases.said(old) if old is not None else set()
        fresh = [
            call
            for call in new.held.beyond
            if heads.said_of(call, new) not in before or heads.leads_into_changes(call, new)
        ]
        far = 0
        for call in fresh[:left]:
            found = heads.reached_by(call, new)
            reached |= {new.path} if found else set()
            far += heads.is_cut(call, new)
            if found is None and heads.said_of(call, new) not in before:
                result.unresolved.setdefault(new.path, []).append(call)
        cut = new.held.uncounted + max(0, len(fresh) - left) + far
        if cut:
            result.cut[new.path] = cut
        left = max(0, left - len(fresh))
    if reached:
        for world, side, calls in _compared(pairs, bases, heads, reached):
            side.held.uses += [use for call in calls[:_MOST_CALLS] for use in world.reached_by(call, side) or ()]
    result.hosts = heads.hosts | bases.hosts
    return result


def _compared(
    pairs: Sequence[tuple[Followed | None, Followed | None]], bases: _World, heads: _World, reached: AbstractSet[str]
) -> Iterator[tuple[_World, Followed, Sequence[Call]]]:
    """Which calls to follow: all of a file that newly reaches something, and those of others that head has not."""
    for old, new in pairs:
        whole = new is not None and new.path in reached
        if old is not None:
            kept = heads.said(new) if new is not None and not whole else set()
            yield bases, old, [call for call in old.held.beyond if bases.said_of(call, old) not in kept]
        if new is not None and whole:
            yield heads, new, new.held.beyond


class _World:
    """One side of the repository: its changed files as they are there, and the others."""

    def __init__(
        self, sides: Mapping[str, Followed], changed: AbstractSet[str], elsewhere: Elsewhere, opener: Opener
    ) -> None:
        self._sides, self._changed, self._elsewhere, self._opener = sides, changed, elsewhere, opener
        self._reached: dict[tuple[Function, int], _Reached] = {}
        self._ends: dict[Function, bool] = {}
        self._indexes: dict[str, _Index] = {}
        self._steps = _MOST_STEPS
        self._functions: dict[tuple[Found, str, str, int], Function | None] = {}
        self._opened: set[str] = set()
        self.hosts: set[str] = set()

    def said(self, side: Followed) -> set[Said]:
        """The calls of a file, to find the same ones on the other side."""
        return {self.said_of(call, side) for call in side.held.beyond}

    def said_of(self, call: Call, side: Followed) -> Said:
        """What is the same for the same call of the same function: its text alone is not, as imports may differ."""
        return call.said, self._found(call, side)

    def leads_into_changes(self, call: Call, side: Followed) -> bool:
        """Whether a call may lead into a file that changed."""
        found = self._found(call, side)
        return found is not None and not self._changed.isdisjoint(found.paths)

    def reached_by(self, call: Call, side: Followed, hops: int = 1) -> list[Use] | None:
        """The uses that a call is; None where it leads to a file that has no such function."""
        found = self._found(call, side)
        if found is None:
            return []
        function = self._function(found, call.written, side.language, hops)
        target = self._side(function[0]) if function is not None else None
        if function is None or target is None:
            return None
        path, symbol = function
        parameters = target.held.parameters.get(symbol, ())
        way = f"{symbol} of {path}"
        uses = [
            replace(led(call, use, way, parameters), origin=use.origin or path)
            for use in self._of(function, target, hops).uses
        ]
        return list({(use.reach, use.package, use.fields, use.destinations): use for use in uses}.values())

    def _found(self, call: Call, side: Followed) -> Found | None:
        return self._elsewhere.find(call.name, side.path, side.language, side.held.wide)

    def _side(self, path: str) -> Followed | None:
        if path in self._changed:
            return self._sides.get(path)
        side = self._opener.open(path)
        if side is not None and path not in self._opened:
            self._opened.add(path)
            self.hosts |= {one.value for use in side.held.uses for one in use.destinations}
            self.hosts |= {named.destination.value for named in side.held.named}
        return side

    def _function(self, found: Found, written: str, language: str, hops: int) -> Function | None:
        key = (found, written, language, hops)
        if key not in self._functions:
            self._functions[key] = self._looked_for(found, written, language, hops)
        return self._functions[key]

    def _looked_for(self, found: Found, written: str, language: str, hops: int) -> Function | None:
        """The one function that a name is, in one of several files."""
        name = found.symbol or written
        known: list[Function] = []
        for path in found.paths:
            alone = len(found.paths) == 1
            if not alone and path not in self._changed and not self._opener.may_hold(path, name.rpartition(".")[2]):
                continue
            side = self._side(path)
            if side is None:
                continue
            symbol = _symbol(name, side.held)
            if symbol is not None:
                known.append((path, symbol))
            elif alone and hops < _HOPS:
                first, _, rest = name.partition(".")
                alias = ".".join(filter(None, (side.held.aliases.get(first), rest)))
                on = self._elsewhere.find(alias, path, language) if first in side.held.aliases else None
                again = self._function(on, written, language, hops + 1) if on is not None else None
                known += [again] if again is not None else []
        exact = [one for one in known if one[1] == name] or known
        return exact[0] if len(exact) == 1 else None

    def is_cut(self, call: Call, side: Followed) -> bool:
        """Whether a call that was followed was not followed to its end; going around in a circle is an end."""
        found = self._found(call, side)
        function = self._function(found, call.written, side.language, 1) if found is not None else None
        if function is None or (function, 1) not in self._reached:
            return False
        if function not in self._ends:
            self._ends[function] = self._has_end(function)
        return not self._ends[function]

    def _has_end(self, function: Function) -> bool:
        layer = {function: frozenset[Function]()}  # with the functions that every way to it comes through
        for hops in range(1, _HOPS + 1):
            further: dict[Function, frozenset[Function]] = {}
            for at, through in layer.items():
                known = self._reached[at, hops]
                if known.unfinished or (known.calls_on and at not in through):
                    return False
                for one in known.functions:
                    ways = through | {at}
                    further[one] = further[one] & ways if one in further else ways
            layer = further
        return True

    def _of(self, function: Function, target: Followed, hops: int) -> _Reached:
        """What a function reaches, itself and by what it calls; with its parameters where they reach it too.

        It depends on what is reached at one more hop only, so functions that call each other come to an end.
        """
        known = self._reached.get((function, hops))
        if known is not None:
            return known
        path, symbol = function
        if path not in self._indexes:
            self._indexes[path] = _Index(target.held)
        index = self._indexes[path]
        inside = index.inside(symbol)
        calls = index.calls(inside)
        self._steps -= len(inside) + len(calls)
        result = _Reached(unfinished=len(inside) == _MOST_INSIDE or self._steps < 0)
        further: list[Use] = []
        if hops >= _HOPS:
            result.calls_on = bool(calls)
        elif self._steps >= 0:
            for call in calls:
                further += self.reached_by(call, target, hops + 1) or ()
                result.functions += self._next(call, target, hops + 1)
        found: dict[object, Use] = {}
        for use in sorted([*index.uses(inside), *further], key=lambda use: use.symbol != symbol):
            if use.reach in FOLLOWED and not use.quiet:
                at = use if use.symbol == symbol else _within(use)
                found.setdefault((at.reach, at.package, at.parameters, at.destinations), at)
        result.uses = list(found.values())[:_MOST_USES]
        self._reached[function, hops] = result
        return result

    def _next(self, call: Call, side: Followed, hops: int) -> list[Function]:
        """The function that a call led to, if it was followed."""
        found = self._found(call, side)
        function = self._function(found, call.written, side.language, hops) if found is not None else None
        return [function] if function is not None and (function, hops) in self._reached else []


@dataclass(slots=True)
class _Reached:
    """What a function reaches after some hops.

    ``functions`` are those that its calls lead to at the next hop; ``calls_on`` where there are calls and no hop is
    left; ``unfinished`` where a bound cut it.
    """

    unfinished: bool
    uses: list[Use] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    calls_on: bool = False


class _Index:
    """A file's functions, uses and calls into other files by the function they are in."""

    def __init__(self, held: Capabilities) -> None:
        self._held = held
        self._within: dict[str, list[str]] = defaultdict(list)
        for one in held.parameters:
            owner = one.rpartition(".")[0]
            while owner:
                self._within[owner].append(one)
                owner = owner.rpartition(".")[0]
        self._uses: dict[str, list[tuple[int, Use]]] = defaultdict(list)
        for number, use in enumerate(held.uses):
            if not use.origin:
                self._uses[use.symbol].append((number, use))
        self._calls: dict[str, list[tuple[int, Call]]] = defaultdict(list)
        for number, call in enumerate(held.beyond):
            self._calls[call.symbol].append((number, call))
        self._inside: dict[str, set[str]] = {}

    def uses(self, inside: AbstractSet[str]) -> list[Use]:
        """The uses in some functions, in the file's order."""
        found = [one for symbol in inside for one in self._uses.get(symbol, ())]
        return [use for _, use in sorted(found, key=lambda one: one[0])]

    def calls(self, inside: AbstractSet[str]) -> list[Call]:
        """The calls into other files in some functions, in the file's order."""
        found = [one for symbol in inside for one in self._calls.get(symbol, ())]
        return [call for _, call in sorted(found, key=lambda one: one[0])]

    def inside(self, symbol: str) -> AbstractSet[str]:
        """A function, the functions within it, and those of its file that they call."""
        if symbol not in self._inside:
            self._inside[symbol] = self._all_inside(symbol)
        return self._inside[symbol]

    def _all_inside(self, symbol: str) -> set[str]:
        found, stack = {symbol}, [symbol]
        while stack and len(found) < _MOST_INSIDE:
            for one in self._led_to(stack.pop()):
                if one not in found and len(found) < _MOST_INSIDE:
                    found.add(one)
                    stack.append(one)
        return found

    def _led_to(self, at: str) -> list[str]:
        held, owner = self._held, at.rpartition(".")[0]
        called = [
            one
            for name in sorted(held.calls.get(at, ()))
            for one in (name, f"{owner}.{name}", *(f"{name}.{made}" for made in _CONSTRUCTORS))
            if one in held.parameters
        ]
        return [*([] if at in held.classes else self._within.get(at, ())), *called]


def _symbol(name: str, held: Capabilities) -> str | None:
    """The symbol of a file that a name is: itself, or the only one that ends so; a class is its constructor."""
    symbols = held.parameters
    found = [name] if name in symbols else [one for one in symbols if one.endswith(f".{name}")]
    last = name.rpartition(".")[2]
    found = found or [one for one in symbols if one.rpartition(".")[2] == last and one not in held.classes]
    if len(found) != 1:
        return None
    symbol = found[0]
    if symbol in held.classes:
        made = [f"{symbol}.{one}" for one in (*_CONSTRUCTORS, last)]
        symbol = next((one for one in made if one in symbols), symbol)
    return symbol


def _within(use: Use) -> Use:
    """A use by a function that is called on the way: what it is handed is not known to be the caller's."""
    last = use.symbol.rpartition(".")[2]
    return replace(use, parameters=frozenset(), fields=frozenset(), through=(*use.through, last))
