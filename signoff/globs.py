# SPDX-License-Identifier: Apache-2.0
"""Patterns of paths in a policy: ``?`` and ``*`` within a folder, ``**/`` for any folders or none, ``**`` for anything.

Paths are the change's, as long and odd as it likes. So a pattern is run as an automaton, in time that grows with
path times pattern and no faster, and not as a regular expression, which could take for ever.
"""

from __future__ import annotations

from enum import Enum

from evidence import InputError

PATTERN_LIMIT = 500


class Wild(Enum):
    """What stands for more than itself; of several that fit, the first here is meant."""

    FOLDERS = "**/"
    ANY = "**"
    SOME = "*"
    ONE = "?"


Pattern = tuple[str | Wild, ...]


def parse_glob(text: str) -> Pattern:
    """The pattern that ``text`` writes; it matches whole paths.

    Raises:
        InputError: empty, longer than 500 characters, or absolute.
    """
    if not text or len(text) > PATTERN_LIMIT or text.startswith("/"):
        raise InputError(f"pattern {text[:80]!r} is empty, too long, or starts with a slash")
    tokens: list[str | Wild] = []
    at = 0
    while at < len(text):
        wild = next((one for one in Wild if text.startswith(one.value, at)), None)
        if wild is Wild.FOLDERS and at and text[at - 1] != "/":
            wild = Wild.ANY
        tokens.append(text[at] if wild is None else wild)
        at += 1 if wild is None else len(wild.value)
    return tuple(tokens)


def matches(pattern: Pattern, path: str) -> bool:
    """Whether the pattern matches all of the path."""
    # A state is a token and whether a folder's name has begun in it, which ``**/`` may only leave after a slash.
    states = _skipped(pattern, {(0, False)})
    for letter in path:
        states = _skipped(pattern, {after for state in states for after in _step(pattern, state, letter)})
    return (len(pattern), False) in states


def _step(pattern: Pattern, state: tuple[int, bool], letter: str) -> list[tuple[int, bool]]:
    at, _ = state
    token = pattern[at] if at < len(pattern) else None
    if token is Wild.FOLDERS:
        return [(at, letter != "/")]
    if token is Wild.ANY or (token is Wild.SOME and letter != "/"):
        return [(at, False)]
    return [(at + 1, False)] if token == letter or (token is Wild.ONE and letter != "/") else []


def _skipped(pattern: Pattern, states: set[tuple[int, bool]]) -> set[tuple[int, bool]]:
    """The states, and those behind wild cards that may stand for nothing here."""
    found, waiting = set(states), list(states)
    while waiting:
        at, begun = waiting.pop()
        behind = (at + 1, False)
        if at < len(pattern) and pattern[at] in _EMPTY and not begun and behind not in found:
            found.add(behind)
            waiting.append(behind)
    return found


_EMPTY = frozenset({Wild.FOLDERS, Wild.ANY, Wild.SOME})
