# SPDX-License-Identifier: Apache-2.0
"""dependency-added and dependency-changed: what both sides of a dependency file declare, compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import InvalidVersion, Version

from diffing._evidence import cut, shown
from diffing.dependencies._facts import Declared, Dependency
from diffing.dependencies._names import taken_for
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FEW = 10
_FEW_PLACES = 3
_WEAK = frozenset({"md5", "sha1"})
_FROM = "packages now from"
_DEVELOPING = (
    "dev",
    "group dev",
    "group test",
    "group lint",
    "group docs",
    "group typing",
    "peer",
    "indirect",
    "test",
    "Test",
)


class _Found(NamedTuple):
    """A finding, and whether it may be told together with others of its kind."""

    finding: Finding
    kind: str = ""


def dependency_findings(path: str, old: Declared | None, new: Declared | None) -> Iterator[Finding]:
    """Findings on one dependency file. Many quiet ones of a kind are told together."""
    if new is None:
        return
    before = old if old is not None else Declared(new.ecosystem)
    found = [*_places(path, before, new), *_packages(path, before, new)]
    kinds = Counter(one.kind for one in found if one.kind)
    together: dict[str, list[Finding]] = defaultdict(list)
    for one in found:
        same_place = one.kind.startswith(_FROM) and kinds[one.kind] > _FEW_PLACES
        if same_place or (kinds[one.kind] > _FEW and one.kind and not one.finding.severity.at_least(Severity.HIGH)):
            together[one.kind].append(one.finding)
        else:
            yield one.finding
    for kind, findings in together.items():
        yield _together(path, kind, findings)


def _places(path: str, old: Declared, new: Declared) -> Iterator[_Found]:
    """Other places to install from, and options that weaken an installation."""
    for index, line in new.indexes.items():
        if index not in old.indexes:
            gone = [one for one in old.indexes if one not in new.indexes]
            yield _Found(
                Finding(
                    "dependency-changed",
                    Severity.HIGH,
                    cut(f"Packages can come from another place: {index}"),
                    "Whoever runs it decides what is installed under any name.",
                    Location(path, line, line, "head", index),
                    {
                        "name": index,
                        "change": "source",
                        "old": gone[0] if len(gone) == 1 else None,
                        "new": shown(index),
                    },
                    (path, "index", index),
                )
            )
    for option, line in new.options.items():
        if option not in old.options:
            yield _Found(
                Finding(
                    "dependency-changed",
                    Severity.HIGH if option.startswith("scripts.") else Severity.MEDIUM,
                    cut(f"Installation option: {option}"),
                    "It runs when the package is installed."
                    if option.startswith("scripts.")
                    else "It weakens what is checked on installation.",
                    Location(path, line, line, "head", option.partition(":")[0]),
                    {"name": option.partition(":")[0], "change": "option", "old": None, "new": shown(option)},
                    (path, "option", option),
                )
            )


def _packages(path: str, old: Declared, new: Declared) -> Iterator[_Found]:
    before, after = _by_name(old), _by_name(new)
    for name, ones in after.items():
        its = before.get(name)
        if its is None:
            yield _added(path, ones[0], new.ecosystem, list(before))
        else:
            yield from _changed(path, its, ones)
    for name, its in before.items():
        if name not in after:
            yield _removed(path, its[0])


def _by_name(declared: Declared) -> dict[str, list[Dependency]]:
    found: dict[str, list[Dependency]] = defaultdict(list)
    for one in declared.dependencies:
        found[one.name].append(one)
    return found


def _added(path: str, one: Dependency, ecosystem: str, known: Sequence[str]) -> _Found:
    developing = one.group.startswith(_DEVELOPING)
    severity = Severity.LOW if one.locked or developing else Severity.MEDIUM
    kind = "locked packages added" if one.locked else "dependencies declared"
    detail = f"{_wanted(one)}."
    likeness = taken_for(one.name, ecosystem, known)
    if likeness is not None:
        severity, kind = Severity.HIGH, ""
        detail += f" Its name can be taken for {likeness}."
    worse = _of_source(one)
    if worse is not None:
        severity = max(severity, worse, key=lambda value: value.rank)
        kind = ""
        detail += f" It comes from {one.source}."
    if one.free:
        detail += " Any version of it will do."
    if one.scripts:
        severity = max(severity, Severity.MEDIUM, key=lambda value: value.rank)
        detail += " It runs a script when it is installed."
        kind = ""
    evidence = {
        "name": one.name,
        "old": None,
        "new": shown(one.version or one.requirement),
        "group": one.group,
        "locked": one.locked,
        "pinned": one.exact,
        "source": str(one.source),
        "similar_to": likeness,
    }
    title = f"New dependency: {one.name} {one.requirement}".rstrip()
    at = Location(path, one.line, one.line, "head", one.name)
    return _Found(
        Finding("dependency-added", severity, cut(title), detail, at, evidence, (path, one.name, str(one.source))), kind
    )


def _wanted(one: Dependency) -> str:
    use = f" for {one.group}" if one.group else ""
    return f"{one.name} {one.requirement}".rstrip() + (" is locked" if one.locked else f" is asked for{use}")


def _of_source(one: Dependency) -> Severity | None:
    """What a source that is not the usual registry weighs; None for the usual one, and for a folder beside."""
    if one.source.origin == "git":
        return Severity.MEDIUM if one.source.fixed else Severity.HIGH
    if one.source.origin == "url":
        return Severity.MEDIUM if one.hashes else Severity.HIGH
    return Severity.MEDIUM if one.source.origin == "registry" and one.source.where else None


def _changed(path: str, olds: Sequence[Dependency], news: Sequence[Dependency]) -> Iterator[_Found]:
    old, new = olds[0], news[0]
    if len(olds) > 1 or len(news) > 1:
        yield from _several(path, olds, news)
        return
    if old.source != new.source:
        yield _source_changed(path, old, new)
    if old.version == new.version and old.requirement == new.requirement:
        yield from _hashes(path, old, new)
    else:
        yield _moved(path, old, new)
        if old.hashes and not new.hashes:
            yield _change(
                path,
                new,
                Severity.MEDIUM,
                "hashes",
                f"{len(old.hashes)} hashes",
                "none",
                "What is installed is no longer held to a hash.",
                "hashes lost",
            )
    if new.scripts and not old.scripts:
        yield _change(
            path,
            new,
            Severity.MEDIUM,
            "scripts",
            "none",
            "runs when it is installed",
            "Base's version ran nothing on installation.",
        )


def _source_changed(path: str, old: Dependency, new: Dependency) -> _Found:
    same = old.source.origin == new.source.origin and old.source.where == new.source.where
    severity = _of_source(new) or Severity.LOW
    text = "The same place at another commit: what it holds is not part of this review."
    if not same:
        severity = Severity.HIGH if _of_source(new) is not None else Severity.LOW
        text = "Another place can hold another package under this name."
    kind = f"{_FROM} {new.source.origin} {new.source.where}" if not same else ""
    return _change(path, new, severity, "source", str(old.source), str(new.source), text, kind)


def _hashes(path: str, old: Dependency, new: Dependency) -> Iterator[_Found]:
    if old.hashes == new.hashes or not old.hashes:
        return
    was, now = (f"{len(one.hashes)} hashes" for one in (old, new))
    if not new.hashes:
        yield _change(
            path,
            new,
            Severity.MEDIUM,
            "hashes",
            was,
            "none",
            "What is installed is no longer held to a hash.",
            "hashes lost",
        )
    elif not old.hashes & new.hashes:
        severity, text = _other_hashes(old.hashes, new.hashes)
        yield _change(path, new, severity, "hashes", was, now, text)
    else:
        yield _change(
            path, new, Severity.INFO, "hashes", was, now, "The same version for other machines.", "hash lists changed"
        )


def _moved(path: str, old: Dependency, new: Dependency) -> _Found:
    back = _is_before(new.version or _bound(new.requirement), old.version or _bound(old.requirement))
    loosened = old.exact and not new.exact
    severity = Severity.MEDIUM if back or loosened else Severity.LOW
    text = (
        "An earlier version than base's."
        if back
        else "Base asked for one version; now others will do."
        if loosened
        else f"{_wanted(new)}."
    )
    kind = "" if severity is Severity.MEDIUM else "locked versions moved" if new.locked else "versions moved"
    return _change(path, new, severity, "version", old.requirement, new.requirement, text, kind)


def _several(path: str, olds: Sequence[Dependency], news: Sequence[Dependency]) -> Iterator[_Found]:
    """A package that is there more than once: versions side by side in a lock, or one asked for in several groups."""
    was, now = ({(one.requirement, str(one.source)) for one in ones} for ones in (olds, news))
    for one in news:
        if (one.requirement, str(one.source)) in was:
            continue
        known = {other.source for other in olds}
        worse = _of_source(one) if one.source not in known else None
        old = ", ".join(sorted({requirement for requirement, _ in was - now})) or None
        kind = "" if worse is not None else "locked versions moved" if one.locked else "versions moved"
        yield _change(path, one, worse or Severity.LOW, "version", old, one.requirement, f"{_wanted(one)}.", kind)
    known_hashes = {(one.version, one.hashes) for one in olds if one.hashes}
    for one in news:
        same = [hashes for version, hashes in known_hashes if version == one.version]
        if same and one.hashes and not any(hashes & one.hashes for hashes in same):
            severity, text = _other_hashes(frozenset().union(*same), one.hashes)
            counts = f"{len(same[0])} hashes", f"{len(one.hashes)} hashes"
            yield _change(path, one, severity, "hashes", *counts, text)


def _other_hashes(old: frozenset[str], new: frozenset[str]) -> tuple[Severity, str]:
    """What hashes that share none weigh, and why: of another algorithm they cannot be compared."""
    was, now = ({_algorithm(one) for one in hashes} for hashes in (old, new))
    if was & now:
        return Severity.HIGH, "The same version with other content: what is installed is not what it was."
    text = f"Hashes by {', '.join(sorted(now))} instead of {', '.join(sorted(was))}: they cannot be held together."
    return (Severity.MEDIUM if now <= _WEAK else Severity.LOW), text


def _algorithm(hash_: str) -> str:
    """``sha512`` of ``sha512-…`` and ``sha256:…``; its length where it does not say."""
    name = hash_.replace(":", "-").partition("-")[0].lower()
    return name if "-" in hash_ or ":" in hash_ else f"{len(hash_)} letters"


def _removed(path: str, one: Dependency) -> _Found:
    severity = Severity.INFO if one.locked or one.group.startswith(_DEVELOPING) else Severity.LOW
    found = Finding(
        "dependency-changed",
        severity,
        cut(f"Dependency removed: {one.name}"),
        "Head no longer asks for it.",
        Location(path, one.line, one.line, "base", one.name),
        {"name": one.name, "change": "removed", "old": shown(one.requirement), "new": None, "locked": one.locked},
        (path, one.name, "removed"),
    )
    return _Found(found, "locked packages removed" if one.locked else "dependencies removed")


def _change(
    path: str, one: Dependency, severity: Severity, change: str, old: str | None, new: str, text: str, kind: str = ""
) -> _Found:
    finding = Finding(
        "dependency-changed",
        severity,
        cut(f"{one.name}: {change} {old or 'none'} → {new or 'any'}"),
        text,
        Location(path, one.line, one.line, "head", one.name),
        {
            "name": one.name,
            "change": change,
            "old": shown(old),
            "new": shown(new),
            "group": one.group,
            "locked": one.locked,
        },
        (path, one.name, change, str(old), new),
    )
    return _Found(finding, kind)


def _bound(requirement: str) -> str:
    return requirement.partition(",")[0].lstrip("=<>~^!v ")


def _is_before(one: str, other: str) -> bool:
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def _together(path: str, kind: str, findings: Sequence[Finding]) -> Finding:
    names = sorted({str(finding.evidence["name"]) for finding in findings})
    sample = [finding.title for finding in findings[:5]]
    worst = max((finding.severity for finding in findings), key=lambda severity: severity.rank)
    return Finding(
        findings[0].rule,
        worst,
        cut(f"{len(findings):,} {kind} in {path}"),
        f"For example: {'; '.join(sample)}.",
        Location(path),
        {"change": kind, "count": len(findings), "sample": names[:10], "old": None, "new": None},
        (path, kind, *sorted(finding.id for finding in findings)[:1000]),
    )
