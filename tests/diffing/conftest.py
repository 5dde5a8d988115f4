# SPDX-License-Identifier: Apache-2.0
"""Comparing contents without a repository."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from diffing._around import Around
from diffing._compare import Comparison, Outcome
from diffing._content import Change, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def side(content: bytes | None) -> Side | None:
    if content is None:
        return None
    return Side(hashlib.sha1(content, usedforsecurity=False).hexdigest(), "file", len(content), content)


def compare_trees(
    before: Mapping[str, bytes], after: Mapping[str, bytes], renamed: Mapping[str, str] | None = None
) -> Outcome:
    renamed = dict(renamed or {})
    around = Around(lambda: [*before, *after], lambda path, most: after.get(path, b"")[:most] or None)
    comparison = Comparison(around=around)
    for path in sorted(before.keys() | after.keys()):
        if path in renamed.values() or before.get(path) == after.get(path):
            continue
        old_path = renamed.get(path)
        old, new = side(before.get(old_path or path)), side(after.get(path))
        status = "renamed" if old_path else "added" if old is None else "removed" if new is None else "modified"
        comparison.add(Change(path, old_path, status, old, new))
    return comparison.finish()


@pytest.fixture
def compare() -> Callable[..., Outcome]:
    """Compare two trees given as path to content."""
    return compare_trees


@pytest.fixture
def compare_one() -> Callable[..., Outcome]:
    """Compare two contents of one path."""

    def run(before: bytes | str | None, after: bytes | str | None, path: str = "rank.py") -> Outcome:
        old, new = (value.encode() if isinstance(value, str) else value for value in (before, after))
        return compare_trees({path: old} if old is not None else {}, {path: new} if new is not None else {})

    return run
