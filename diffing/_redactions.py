# SPDX-License-Identifier: Apache-2.0
"""redaction: values replaced by blanks or sentinels, so that a reader no longer sees what runs."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from diffing._evidence import at, shown
from diffing._facts import NAMED_ROLES
from diffing._flow import Feeds
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing._pairing import Match, Placed

_SENTINEL = re.compile(
    r"[<\[({*_#-]*\s*(?:redacted|removed|hidden|masked|secret|confidential|censored|withheld|placeholder|omitted|elided|"
    r"todo|tbd|n/?a|changeme|change_me|replace_me|private|internal only|x{3,}|\*{3,}|\.{3,}|-{3,}|_{3,}|…)"
    r"\s*[>\])}*_#-]*",
    re.IGNORECASE,
)
_BLANKS = frozenset({0, 1, -1, -999, -9999, 999, 9999, 99999})
_MANY = 3  # numbers of one file that became the same blank


def is_redaction(old: object, new: object) -> bool:
    """Whether a value was replaced by a blank or a sentinel."""
    if new is None:
        return old is not None
    if isinstance(new, str):
        if isinstance(old, str) and (not old.strip() or _SENTINEL.fullmatch(old.strip())):
            return False
        return (
            not isinstance(old, bool)
            and old is not None
            and ((not new.strip() and isinstance(old, str)) or bool(_SENTINEL.fullmatch(new.strip())))
        )
    if isinstance(new, tuple) and isinstance(old, tuple):
        return any(isinstance(one, str) and _SENTINEL.fullmatch(one) for one in new) and not any(
            isinstance(one, str) and _SENTINEL.fullmatch(one) for one in old
        )
    return False


def redaction(old: Placed, new: Placed) -> Finding:
    """The finding of one value."""
    before, after = old.fact, new.fact
    feeds = max(before.feeds, after.feeds)
    return Finding(
        "redaction",
        Severity.MEDIUM if feeds is Feeds.SCORE or not _is_blank(after.value) else Severity.LOW,
        f"{after.name} is blanked out",
        f"It was {shown(before.value)!r} and is {shown(after.value)!r}: what runs cannot be read here any more.",
        at(new.facts, after),
        {"name": after.name, "old": shown(before.value), "new": shown(after.value), "feeds": feeds.name.lower()},
        (new.facts.path, after.symbol, after.name, repr(after.value)),
    )


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def blanked_numbers(matches: Iterable[Match]) -> Iterator[Finding]:
    """One finding for each file in which several different numbers all became the same blank."""
    found: dict[tuple[str, object], list[tuple[Placed, Placed]]] = defaultdict(list)
    for old, new in matches:
        if old is None or new is None or new.fact.role not in NAMED_ROLES:
            continue
        before, after = old.fact.value, new.fact.value
        if _is_number(before) and _is_number(after) and before != after and after in _BLANKS:
            found[new.facts.path, after].append((old, new))
    for (path, value), pairs in sorted(found.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        if len(pairs) < _MANY or len({repr(old.fact.value) for old, _ in pairs}) < _MANY:
            continue
        names = [new.fact.name for _, new in pairs]
        first = pairs[0][1]
        yield Finding(
            "redaction",
            Severity.MEDIUM,
            f"{len(pairs):,} numbers in {path.rpartition('/')[2]} all became {value}",
            f"For example {', '.join(names[:3])}: what runs cannot be read here any more, or these have no effect.",
            at(first.facts, first.fact),
            {
                "names": names[:20],
                "count": len(pairs),
                "old": [shown(old.fact.value) for old, _ in pairs[:20]],
                "new": shown(first.fact.value),
            },
            (path, repr(value), *names[:50]),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
