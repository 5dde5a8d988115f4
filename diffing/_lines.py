# SPDX-License-Identifier: Apache-2.0
"""A line diff with a bound on its work.

Common ends are cut off, lines that only one side has are set aside (they are changed in any case), and what is left
is compared with
Myers' greedy algorithm (1986). Where that would take too many steps, the middle counts as replaced as a whole: still
a correct
diff, only a longer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_EDITS = 1_500


class Run(NamedTuple):
    """Lines ``old_start:old_end`` of base become ``new_start:new_end`` of head; either may be empty. Counted from 0."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


class LineDiff(NamedTuple):
    """The changed runs in order, and whether they are as short as they could be."""

    runs: tuple[Run, ...]
    minimal: bool

    @property
    def added(self) -> int:
        """How many lines head has more."""
        return sum(run.new_end - run.new_start for run in self.runs)

    @property
    def removed(self) -> int:
        """How many lines base has more."""
        return sum(run.old_end - run.old_start for run in self.runs)


def split_lines(data: bytes) -> list[bytes]:
    """The lines of a file as git counts them: each up to and with its newline."""
    return data.splitlines(keepends=True) if b"\r" not in data else _at_newlines(data)


def _at_newlines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def compare_lines(old: Sequence[bytes], new: Sequence[bytes]) -> LineDiff:
    """The runs of lines that differ."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    in_old, in_new = set(before), set(after)
    shared_old = [at for at, line in enumerate(before) if line in in_new]
    shared_new = [at for at, line in enumerate(after) if line in in_old]
    kept = _common_subsequence([before[at] for at in shared_old], [after[at] for at in shared_new])
    pairs = [(shared_old[one], shared_new[other]) for one, other in kept or ()]
    return LineDiff(tuple(_runs(pairs, len(before), len(after), start)), kept is not None)


def _common(old: Sequence[bytes], new: Sequence[bytes]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _runs(pairs: list[tuple[int, int]], old_length: int, new_length: int, offset: int) -> list[Run]:
    runs: list[Run] = []
    old_at = new_at = 0
    for old_next, new_next in [*pairs, (old_length, new_length)]:
        if old_next > old_at or new_next > new_at:
            runs.append(Run(old_at + offset, old_next + offset, new_at + offset, new_next + offset))
        old_at, new_at = old_next + 1, new_next + 1
    return runs


def _common_subsequence(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]] | None:
    """The longest common subsequence as pairs of positions; None where it takes more than the most edits."""
    limit = min(len(old) + len(new), _MOST_EDITS)
    middle = limit + 1
    furthest = [0] * (2 * middle + 1)  # the furthest position in old, by diagonal
    trail: list[list[int]] = []
    for edits in range(limit + 1):
        trail.append(furthest[middle - edits - 1 : middle + edits + 2])
        for diagonal in range(-edits, edits + 1, 2):
            down = _goes_down(furthest, middle + diagonal, diagonal, edits)
            at_old = furthest[middle + diagonal + 1] if down else furthest[middle + diagonal - 1] + 1
            at_new = at_old - diagonal
            while at_old < len(old) and at_new < len(new) and old[at_old] == new[at_new]:
                at_old += 1
                at_new += 1
            furthest[middle + diagonal] = at_old
            if at_old >= len(old) and at_new >= len(new):
                return _walked_back(trail, len(old), len(new))
    return None


def _goes_down(furthest: list[int], at: int, diagonal: int, edits: int) -> bool:
    """Whether the best way to a diagonal is an added line and not a removed one."""
    return diagonal == -edits or (diagonal != edits and furthest[at - 1] < furthest[at + 1])


def _walked_back(trail: list[list[int]], at_old: int, at_new: int) -> list[tuple[int, int]]:
    """The pairs on the way that ``trail`` tells, step by step from the end."""
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        furthest, middle = trail[edits], edits + 1
        diagonal = at_old - at_new
        before = diagonal + 1 if _goes_down(furthest, middle + diagonal, diagonal, edits) else diagonal - 1
        old_before = furthest[middle + before]
        new_before = old_before - before
        while at_old > old_before and at_new > new_before and at_old > 0 and at_new > 0:
            at_old, at_new = at_old - 1, at_new - 1
            pairs.append((at_old, at_new))
        at_old, at_new = old_before, new_before
    pairs.reverse()
    return pairs
