# SPDX-License-Identifier: Apache-2.0
"""The keys of the pages: one table, of which the help on every page, the bindings and ``docs/keys.md`` are made.

The script binds what the help dialog lists (``data-keys`` and ``data-does`` of its rows), so a key that is not shown
does nothing. Keys are Gerrit's where Gerrit has one. A space stands between keys that are pressed one after the other.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Key(NamedTuple):
    """What to press, what for, and the name of what the script then does."""

    press: str
    meaning: str
    does: str


class Keys(NamedTuple):
    """Keys that work in the same place."""

    where: str
    keys: tuple[Key, ...]


KEYS: Final = (
    Keys(
        "Everywhere",
        (
            Key("?", "Show these keys, or hide them", "help"),
            Key("g q", "Go to the queue", "go queue"),
            Key("g l", "Go to the log", "go log"),
            Key("g p", "Go to people", "go people"),
            Key("g y", "Go to the policy", "go policy"),
            Key("u", "Up: from a page of a change to its overview, from there to the queue", "up"),
            Key("Ctrl+Enter", "Save what is being written", "save"),
        ),
    ),
    Keys(
        "On a change",
        (
            Key("g o", "Go to the overview", "go overview"),
            Key("f", "Go to the files", "go files"),
            Key("g t", "Go to the threads", "go threads"),
            Key("g b", "Go to the behavior", "go behavior"),
            Key("g m", "Go to the models", "go models"),
            Key("g s", "Go to the sign-off", "go sign-off"),
        ),
    ),
    Keys(
        "In lists",
        (
            Key("j", "Next line of a diff; elsewhere next change, thread or finding", "next"),
            Key("k", "The one before", "previous"),
        ),
    ),
    Keys(
        "Among the files",
        (
            Key("n", "Next chunk", "next-chunk"),
            Key("p", "The chunk before", "previous-chunk"),
            Key("]", "Next file", "next-file"),
            Key("[", "The file before", "previous-file"),
            Key("r", "Mark the file as viewed, or take the mark back", "viewed"),
            Key("M", "Mark the file as viewed, and go to the next one", "viewed-next"),
            Key("c", "Comment on the line, or on the file", "comment"),
        ),
    ),
    Keys(
        "Among threads",
        (
            Key("N", "Next thread", "next-thread"),
            Key("P", "The thread before", "previous-thread"),
            Key("a", "Answer the thread", "answer"),
        ),
    ),
)
