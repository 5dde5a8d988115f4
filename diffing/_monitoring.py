# SPDX-License-Identifier: Apache-2.0
"""monitoring-removed: metrics, logging, audit and labels that disappear."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from diffing._facts import Monitor
from diffing._placing import FilePair, Place, Places, placed, without_equal
from diffing._placing import Placed as AnyPlaced
from diffing._words import LOGGING, words
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

Placed = AnyPlaced[Monitor]

_SHOWN = 5


def monitoring_findings(pairs: Sequence[FilePair], places: Places) -> Iterator[Finding]:
    """One finding for each function that watches less than it did; what is watched elsewhere now is no loss."""
    olds, news = placed(pairs, places, lambda facts: facts.monitors, lambda monitor: monitor.symbol)
    keys: list[Callable[[Placed], Hashable]] = [
        lambda item: (item.place, item.fact.form),
        lambda item: item.fact.form,
        lambda item: (item.place, item.fact.callee, item.fact.subject),
        lambda item: (item.fact.callee, item.fact.subject) if item.fact.subject else id(item.fact),
    ]
    reworded: list[Callable[[Placed], Hashable]] = [
        lambda item: (item.place, item.fact.callee),
        lambda item: (item.place, item.fact.callee.rpartition(".")[2]),
        lambda item: item.place,
    ]
    whole = list(olds), list(news)
    for key in [*keys, *reworded]:
        olds, news = without_equal(olds, news, key)
    yield from _unlabelled(*whole)
    by_place: dict[Place, list[Placed]] = defaultdict(list)
    for item in olds:
        by_place[item.place].append(item)
    for place in sorted(by_place):
        yield _finding(by_place[place], existing=places.both(place))


def _unlabelled(olds: list[Placed], news: list[Placed]) -> Iterator[Finding]:
    """What is still watched, but without a label it had."""
    after: dict[Hashable, set[str]] = defaultdict(set)
    for item in news:
        after[item.place, item.fact.callee] |= item.fact.labels
    for item in olds:
        key = (item.place, item.fact.callee)
        lost = item.fact.labels - after[key] if key in after else set()
        if lost:
            names = ", ".join(sorted(lost))
            yield Finding(
                "monitoring-removed",
                Severity.MEDIUM,
                f"{item.fact.callee} is watched without {names}",
                f"It was: {item.fact.text}.",
                Location(
                    item.facts.path, item.fact.line, item.fact.end_line, "base", item.facts.place(item.fact.symbol)
                ),
                {"name": item.fact.callee, "labels": sorted(lost), "old": item.fact.text},
                (item.facts.path, item.fact.symbol, item.fact.callee, *sorted(lost)),
            )


def _finding(gone: list[Placed], *, existing: bool) -> Finding:
    first = next((item for item in gone if not _only_logs(item.fact)), gone[0])
    loud = not _only_logs(first.fact)
    severity = Severity.MEDIUM if loud and existing else Severity.LOW if loud or existing else Severity.INFO
    names = sorted({item.fact.callee for item in gone})
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Finding(
        "monitoring-removed",
        severity,
        f"Monitoring removed: {first.fact.callee}{more}",
        f"It was: {first.fact.text}. Nothing in the change does it any more.",
        Location(first.facts.path, first.fact.line, first.fact.end_line, "base", first.facts.place(first.fact.symbol)),
        {
            "name": first.fact.callee,
            "count": len(gone),
            "sample": [item.fact.text for item in gone[:_SHOWN]],
            "kind": "metric" if loud else "log",
        },
        (first.facts.path, first.fact.symbol, *names),
    )


def _only_logs(monitor: Monitor) -> bool:
    found = words(monitor.callee)
    return bool(found & LOGGING) and not found & {"audit", "alert", "alerts", "metric", "metrics", "exposure"}
