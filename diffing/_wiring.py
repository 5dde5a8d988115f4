# SPDX-License-Identifier: Apache-2.0
"""rule-added, rule-removed, wiring-added, wiring-removed.

What takes part in ranking is seldom decided where it is defined: a filter that nobody lists any more, or a scorer that
a pipeline newly calls, changes what people see although its own file did not. Members of rule tables and calls of
functions that speak of scores are compared by what they name, over the whole change: what is listed elsewhere, or
under a new name, is no loss.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing._facts import Facts, Member
    from diffing._placing import FilePair, Places

_SHOWN = 10


class _Uses(NamedTuple):
    """The members of one name on one side."""

    members: list[tuple[Facts, Member]]

    @property
    def listed(self) -> bool:
        """Whether any of them stands in a rule table."""
        return any(member.how != "call" for _, member in self.members)


def wiring_findings(pairs: Sequence[FilePair], places: Places) -> Iterator[Finding]:
    """One finding for every name that is newly wired, or no longer is, anywhere in the change."""
    before = _by_name([pair.old for pair in pairs if pair.old])
    after = _by_name([pair.new for pair in pairs if pair.new])
    defined_before = _defined([pair.old for pair in pairs if pair.old])
    defined_after = _defined([pair.new for pair in pairs if pair.new])
    used_before = _used([pair.old for pair in pairs if pair.old])
    used_after = _used([pair.new for pair in pairs if pair.new])
    renamed = {(old.symbol.rpartition(".")[2], new.symbol.rpartition(".")[2]) for old, new in places.moves()}
    gone_to = dict(renamed)
    come_from = {new: old for old, new in renamed}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old and not _still(name, old, new, used_after) and gone_to.get(name) not in after:
            defined = name in defined_before and name not in defined_after
            if _existing(old, places, base=True):
                yield _finding(name, old, "removed", rule=defined)
        if new and not _still(name, new, old, used_before) and come_from.get(name) not in before:
            defined = name in defined_after and name not in defined_before
            if _existing(new, places, base=False):
                yield _finding(name, new, "added", rule=defined)


def _still(name: str, here: _Uses, there: _Uses | None, used: set[str]) -> bool:
    """Whether the other side wires a name too: in a table what is listed, elsewhere whatever uses it."""
    if there is not None and (there.listed or not here.listed):
        return True
    return not here.listed and name in used


def _existing(uses: _Uses, places: Places, *, base: bool) -> bool:
    """Whether what wires it stands in a symbol that both sides have; else the whole symbol came or went."""
    return any(places.both(places.of(facts, member.symbol, base=base)) for facts, member in uses.members)


def _by_name(sides: Sequence[Facts]) -> dict[str, _Uses]:
    found: dict[str, list[tuple[Facts, Member]]] = defaultdict(list)
    for facts in sides:
        for member in facts.members:
            found[member.name].append((facts, member))
    return {name: _Uses(members) for name, members in found.items()}


def _defined(sides: Sequence[Facts]) -> set[str]:
    return {symbol.rpartition(".")[2] for facts in sides for symbol in facts.symbols}


def _used(sides: Sequence[Facts]) -> set[str]:
    return {name for facts in sides for name in facts.uses}


def _finding(name: str, uses: _Uses, what: str, *, rule: bool) -> Finding:
    facts, first = next(((facts, member) for facts, member in uses.members if member.how != "call"), uses.members[0])
    tables = sorted({member.table for _, member in uses.members if member.table})
    kind = "rule" if rule or first.how == "config" else "wiring"
    removed = what == "removed"
    where = f" in {tables[0]}" if tables else f" by {facts.place(first.symbol)}"
    verb = {
        ("wiring", True): "is no longer wired",
        ("wiring", False): "is newly wired",
        ("rule", True): "is removed",
        ("rule", False): "is new",
    }[kind, removed]
    detail = {
        "wiring": "It is still there but nothing in the change uses it."
        if removed
        else "It was there but not used here.",
        "rule": "Its definition and its use are gone." if removed else "Its definition and its use are new.",
    }[kind]
    if first.how == "config":
        detail = "Nothing in the change lists it any more." if removed else "Nothing in the change listed it before."
    evidence = {
        "name": name,
        "how": first.how,
        "tables": tables[:_SHOWN],
        "uses": len(uses.members),
        "text": first.text,
    }
    return Finding(
        f"{kind}-{what}",
        Severity.MEDIUM if removed or first.how != "call" else Severity.LOW,
        f"{name} {verb}{where}",
        detail,
        Location(facts.path, first.line, first.end_line, "base" if removed else "head", facts.place(first.symbol)),
        evidence,
        (facts.path, first.symbol, name, *tables),
    )
