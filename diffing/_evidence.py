# SPDX-License-Identifier: Apache-2.0
"""How values and places stand in evidence."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from diffing._flow import Feeds
from evidence import Location, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing._facts import Condition, Facts, Formula, Literal, Scalar, SpecialCase

LARGE_MOVE = 3.0
_EXACT = 2**53
_LONGEST_TEXT = 300
_MOST_SHOWN = 20
_SAMPLE = 10


def printable(text: str) -> str:
    """``text`` as any reader can hold it: bytes that are no UTF-8 are shown as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(value: object) -> Any:  # noqa: ANN401 - a JSON value
    """A value as JSON carries it: numbers as numbers, texts cut, lists of up to 20 values whole."""
    if isinstance(value, tuple):
        return [shown(one) for one in value[:_MOST_SHOWN]]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode("utf-8")
        return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
    return value


def at(facts: Facts, fact: Literal | Condition | Formula | SpecialCase, side: Side = "head") -> Location:
    """Where a fact stands."""
    return Location(facts.path, fact.line, fact.end_line, side, facts.place(fact.symbol))


class Move(NamedTuple):
    """How a number moved. ``ratio`` is new over old, None where old is zero; ``words`` end a title."""

    ratio: float | None = None
    flips: bool = False
    large: bool = False
    words: str = ""


def number_move(old: object, new: object) -> Move:
    """The move from one value to another; nothing where they are no numbers."""
    if (
        isinstance(old, bool)
        or isinstance(new, bool)
        or not isinstance(old, (int, float))
        or not isinstance(new, (int, float))
    ):
        return Move()
    if old == 0:
        return Move(None, flips=False, large=new != 0, words=" (from zero)")
    try:
        ratio = new / old
    except OverflowError:
        return Move(None, flips=(old < 0) is not (new < 0), large=True, words=" (by far)")
    if ratio in (float("inf"), float("-inf")):
        return Move(None, flips=ratio < 0, large=True, words=" (by far)")
    flips = ratio < 0
    large = flips or abs(ratio) >= LARGE_MOVE or abs(ratio) <= 1 / LARGE_MOVE
    words = " (sign flipped)" if flips else " (to zero)" if ratio == 0 else f" ({ratio:.4g} times)"
    return Move(ratio, flips, large, words)


@dataclass(frozen=True, slots=True)
class Values:
    """Two lists, compared."""

    old: Sequence[Scalar]
    new: Sequence[Scalar]
    added: list[Scalar]
    removed: list[Scalar]
    ratio: float | None
    large: bool

    @property
    def words(self) -> str:
        """What changed, in a few words."""
        if not self.added and not self.removed:
            return f"{len(self.new):,} values in another order"
        return f"{len(self.added):,} added, {len(self.removed):,} removed, {len(self.new):,} in all"

    @property
    def digest(self) -> str:
        """A digest over both lists, for fingerprints."""
        text = repr((tuple(self.old), tuple(self.new))).encode("utf-8", "backslashreplace")
        return hashlib.sha256(text).hexdigest()

    def evidence(self) -> dict[str, Any]:
        """The lists where they are short, else what was added and removed by sample and count."""
        found: dict[str, Any] = {
            "added": list_sample(self.added),
            "added_count": len(self.added),
            "removed": list_sample(self.removed),
            "removed_count": len(self.removed),
        }
        if len(self.old) <= _MOST_SHOWN and len(self.new) <= _MOST_SHOWN:
            found["old"], found["new"] = shown(tuple(self.old)), shown(tuple(self.new))
        else:
            found["old_count"], found["new_count"] = len(self.old), len(self.new)
        return found


def values_of(old: object, new: object) -> Values:
    """Compare two lists; for lists of numbers of one length the largest move of a member is the list's."""
    olds = old if isinstance(old, tuple) else ()
    news = new if isinstance(new, tuple) else ()
    before, after = Counter(map(repr, olds)), Counter(map(repr, news))
    added = _left(news, after - before)
    removed = _left(olds, before - after)
    ratio, large = None, False
    if olds and len(olds) == len(news):
        moves = [number_move(one, other) for one, other in zip(olds, news, strict=True) if one != other]
        ratios = [move.ratio for move in moves if move.ratio is not None]
        ratio = max(ratios, key=lambda value: max(abs(value), 1 / abs(value) if value else LARGE_MOVE), default=None)
        large = any(move.large for move in moves)
    return Values(olds, news, added, removed, ratio, large)


def _left(values: Sequence[Scalar], surplus: Counter[str]) -> list[Scalar]:
    left = []
    for value in values:
        if surplus[repr(value)] > 0:
            surplus[repr(value)] -= 1
            left.append(value)
    return left


def list_sample(values: Sequence[Scalar]) -> list[Any]:
    """The first few of a list, as JSON carries them."""
    return [shown(value) for value in values[:_SAMPLE]]


def reach(feeds: Feeds) -> str:
    """A sentence to end a detail with."""
    return " A score or filter depends on it." if feeds is Feeds.SCORE else ""


def cut(text: str) -> str:
    """``text`` short enough for a title."""
    return text if len(text) <= 90 else f"{text[:89]}…"  # noqa: PLR2004 - a title stays one line
