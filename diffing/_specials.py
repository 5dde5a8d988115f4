# SPDX-License-Identifier: Apache-2.0
"""identity-special-case."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from diffing._evidence import at, list_sample, shown
from diffing._flow import Feeds
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing._facts import Facts, SpecialCase
    from diffing._placing import FilePair

_FEW = 3  # entries of one map that are special cases; more are a list
_HOW = {
    "comparison": "is compared with",
    "part": "is searched for",
    "case": "has a case for",
    "boost": "has an entry of its own for",
    "config": "names",
}
Key = tuple[str, str]


def special_findings(pairs: Sequence[FilePair]) -> Iterator[Finding]:
    """Identities singled out in head that base, anywhere in the change, did not single out in the same way."""
    before = Counter(_key(case) for pair in pairs if pair.old for case in pair.old.specials)
    by_container: dict[tuple[str, str], list[tuple[Facts, SpecialCase]]] = defaultdict(list)
    for pair in pairs:
        facts = pair.new
        for case in facts.specials if facts else ():
            if before[_key(case)] > 0:
                before[_key(case)] -= 1
            elif facts is not None and case.container and case.how == "boost":
                by_container[facts.path, case.container].append((facts, case))
            elif facts is not None:
                yield _finding(facts, case)
    for found in by_container.values():
        if len(found) <= _FEW:
            yield from (_finding(facts, case) for facts, case in found)
        else:
            yield _list(found)


def _key(case: SpecialCase) -> Key:
    return (case.subject.rpartition(".")[2].lower() if case.how != "boost" else "", case.value)


def _finding(facts: Facts, case: SpecialCase) -> Finding:
    evidence = {
        "name": case.subject,
        "value": shown(case.value),
        "how": case.how,
        "text": case.text,
        "scoped": case.scoped,
        "feeds": case.feeds.name.lower(),
    }
    reach = " A score or filter depends on it." if case.feeds is Feeds.SCORE else ""
    return Finding(
        "identity-special-case",
        Severity.HIGH,
        f"One identity singled out: {case.subject} {_HOW[case.how]} {shown(case.value)!r}",
        f"{case.text}.{reach}",
        at(facts, case),
        evidence,
        (facts.path, case.symbol, case.subject, case.value, case.how),
    )


def _list(found: list[tuple[Facts, SpecialCase]]) -> Finding:
    facts, first = found[0]
    values = [case.value for _, case in found]
    scoped = all(case.scoped for _, case in found)
    evidence = {
        "name": first.container,
        "count": len(values),
        "sample": list_sample(values),
        "scoped": scoped,
        "added": list_sample(values),
    }
    return Finding(
        "identity-list-added",
        Severity.MEDIUM,
        f"{len(values):,} identities have an entry of their own in {first.container}",
        f"For example {', '.join(values[:3])}. Each has a number that a score depends on.",
        at(facts, first),
        evidence,
        (facts.path, first.symbol, first.container, *sorted(values)),
    )
