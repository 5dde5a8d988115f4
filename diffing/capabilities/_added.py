# SPDX-License-Identifier: Apache-2.0
"""capability-added: what head can do that base could not."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing._evidence import cut, shown
from diffing._words import is_score
from diffing.capabilities._sides import DOES, apis, evidence_of, location
from diffing.capabilities.tables import OUTWARD, Reach
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from diffing.capabilities._facts import Use
    from diffing.capabilities._sides import Base, Place, Side, Sides

_SEVERITY = {
    **dict.fromkeys((Reach.HTTP, Reach.SOCKET, Reach.CLOUD, Reach.QUEUE, Reach.MAIL), Severity.MEDIUM),
    **dict.fromkeys((Reach.PROCESS, Reach.CODE), Severity.MEDIUM),
    **dict.fromkeys((Reach.TELEMETRY, Reach.DATABASE, Reach.FILE_WRITE, Reach.RUNTIME), Severity.LOW),
    **dict.fromkeys((Reach.FILE_READ, Reach.ENVIRONMENT, Reach.LOG), Severity.INFO),
}
_BY_NAME = frozenset({Reach.ENVIRONMENT, Reach.RUNTIME})
_AT_IMPORT = frozenset({"setup.py", "__init__.py", "conftest.py", "sitecustomize.py", "usercustomize.py"})
_FETCHING = frozenset({"curl", "wget", "nc", "ncat", "ssh", "scp", "rsync", "ftp", "telnet", "socat"})
_MOST = 20


def added_findings(sides: Sequence[Sides], base: Base) -> Iterator[Finding]:
    """capability-added over all changed files: what moved from one of them to another is not new."""
    for old, new in sides:
        if new is not None:
            yield from _added(old, new, base)


def _added(old: Side | None, new: Side, base: Base) -> Iterator[Finding]:
    before = old.uses if old is not None else {}
    for place, uses in new.uses.items():
        reach, package = place
        if reach is Reach.LOG:
            continue
        if reach in _BY_NAME:
            yield from _names(place, before.get(place, ()), uses, new)
        elif place not in before:
            if place not in base.left:
                yield _capability(place, uses, before, new, base)
        else:
            yield from _more(place, before[place], uses, new)
    known = {*(old.held.imports if old is not None else ()), *(package for _, package in before)}
    for package, (reach, line) in new.held.imports.items():
        if package not in known and reach in OUTWARD | {Reach.CODE} and (reach, package) not in base.left:
            yield _imported(package, reach, line, new)


def _capability(
    place: Place, uses: Sequence[Use], before: Mapping[Place, Sequence[Use]], new: Side, base: Base
) -> Finding:
    reach, package = place
    severity = _SEVERITY[reach]
    known = any(other is reach for other, _ in before)
    if (known or place in base.places) and severity is Severity.MEDIUM:
        severity = Severity.LOW
    if all(use.quiet for use in uses) and severity is Severity.MEDIUM:
        severity = Severity.LOW
    decoded = reach is Reach.CODE and any(use.decoded for use in uses)
    at_import = PurePosixPath(new.facts.path).name in _AT_IMPORT and any(not use.symbol for use in uses)
    if (decoded or (at_import and severity is Severity.MEDIUM)) and severity.at_least(Severity.LOW):
        severity = Severity.HIGH
    open_ = [use for use in uses if not use.settled]
    detail = f"{DOES[reach][0].upper()}{DOES[reach][1:]} by {', '.join(apis(uses)[:3])}; base does not in this file."
    if decoded:
        detail += " What it runs is decoded first: a reader cannot see it."
    if open_:
        detail += " Where to cannot be told from the code."
    return Finding(
        "capability-added",
        severity,
        cut(f"{new.facts.module or new.facts.path} {DOES[reach]}: {apis(uses)[0]}"),
        detail,
        location(new.facts, uses[0]),
        {**evidence_of(place, uses, new), "unresolved": bool(open_), "decoded": decoded},
        (new.facts.path, reach, package),
    )


def _more(place: Place, before: Sequence[Use], uses: Sequence[Use], new: Side) -> Iterator[Finding]:
    """What a file does that did the like before: calls whose destination cannot be told, other commands."""
    reach, package = place
    if reach is Reach.PROCESS:
        known = {name for use in before for name in use.names}
        for use in uses:
            for name in [name for name in use.names[:1] if name not in known]:
                fetching = bool(_FETCHING & {PurePosixPath(word).name for word in name.split()})
                yield Finding(
                    "capability-added",
                    Severity.MEDIUM if fetching else Severity.LOW,
                    cut(f"{new.facts.module} runs another program: {name}"),
                    f"{use.text}. Base runs other programs in this file, but not this one.",
                    location(new.facts, use),
                    {**evidence_of(place, [use], new), "name": shown(name)},
                    (new.facts.path, reach, package, name),
                )
        return
    if reach not in OUTWARD | {Reach.CODE}:
        return
    known_symbols = {use.symbol for use in before if not use.settled}
    open_ = [use for use in uses if not use.settled and use.symbol not in known_symbols]
    if open_ and sum(not use.settled for use in uses) > sum(not use.settled for use in before):
        first = open_[0]
        yield Finding(
            "capability-added",
            Severity.LOW,
            cut(f"{first.symbol or new.facts.module}: {first.api} to where cannot be told"),
            f"{first.text}. The file {DOES[reach]} in base too; this call's destination is computed.",
            location(new.facts, first),
            {**evidence_of(place, open_, new), "unresolved": True},
            (new.facts.path, reach, package, "unresolved", first.symbol),
        )


def _names(place: Place, before: Sequence[Use], uses: Sequence[Use], new: Side) -> Iterator[Finding]:
    """Variables and flags that head reads and base does not."""
    reach, package = place
    known = {name for use in before for name in use.names}
    fresh: dict[str, Use] = {}
    for use in uses:
        for name in use.names[:1]:
            if name not in known and "{}" not in name:
                fresh.setdefault(name, use)
    if not fresh:
        return
    names = sorted(fresh)
    scoring = [name for name in names if is_score(name)]
    severity = Severity.MEDIUM if scoring else _SEVERITY[reach]
    kind = "environment variable" if reach is Reach.ENVIRONMENT else "flag or remote value"
    first = fresh[scoring[0] if scoring else names[0]]
    yield Finding(
        "capability-added",
        severity,
        cut(f"{kind} read: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")),  # noqa: PLR2004 - one line
        "The value is not part of the change: it is set where the program runs."
        + (f" {', '.join(scoring[:3])} speaks of scores." if scoring else ""),
        location(new.facts, first),
        {**evidence_of(place, list(fresh.values()), new), "names": [shown(name) for name in names[:_MOST]]},
        (new.facts.path, reach, package, *names[:_MOST]),
    )


def _imported(package: str, reach: Reach, line: int, new: Side) -> Finding:
    return Finding(
        "capability-added",
        Severity.LOW,
        cut(f"{new.facts.module or new.facts.path} imports {package}; no call of it is seen"),
        f"{package} {DOES[reach]}; what is done with it here cannot be told.",
        Location(new.facts.path, line, line, "head", new.facts.module),
        {"kind": reach.value, "package": package, "apis": [], "unresolved": True},
        (new.facts.path, reach, package, "imported"),
    )
