# SPDX-License-Identifier: Apache-2.0
"""Documents and patches to report on."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import pytest

from diffing import FileChange, FilePatch, Hunk, Line
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "<script>alert(1)</script>\u202e javascript:alert(2)"
MANIFEST = {
    "schema": "countersign/revision/v1",
    "repository": "tiny/ranker",
    "base": {"commit": "1" * 40, "tree": "2" * 40},
    "head": {"commit": "3" * 40, "tree": "4" * 40, "content": {"sha256": "5" * 64}},
    "artifacts": [{"name": "model", "size": 123456, "sha256": "6" * 64}],
}


def _cell(**changes: Any) -> dict[str, Any]:
    cell = {
        "probe": "exposure", "family": "primary", "slice": "state-media", "cohort": {}, "context": {},
        "base_share": 0.098, "head_share": 0.099, "ratio": 1.01, "ratio_low": 0.98, "ratio_high": 1.04,
        "churn_low": 0.95, "churn_high": 1.07, "adjusted_ratio": 1.0, "base_reach": 0.61, "head_reach": 0.62,
        "difference": 0.001, "p": 0.4, "adjusted_p": 0.8, "statistic": "deep", "margin": 1.1,
        "minimum_detectable_ratio": 1.06, "users": 469, "verdict": "equivalent", "reason": None,
    }  # fmt: skip
    return cell | changes


def _audit(*cells: dict[str, Any], verdict: str = "pass", **changes: Any) -> dict[str, Any]:
    document = {
        "schema": "countersign/audit/v1",
        "verdict": verdict,
        "panel": {"name": "small", "digest": f"sha256:{'a' * 64}", "users": 3432, "items": 7346, "k": 20},
        "base": {"digest": f"sha256:{'b' * 64}"},
        "head": {"digest": f"sha256:{'c' * 64}"},
        "cells": list(cells),
        "probes": [{"name": "exposure", "status": "run", "reason": None, "summary": "12 cells", "searched": {}}],
        "findings": [],
        "seed": 7,
        "version": "0.1.0",
    }
    return document | changes


def _patch(path: str, old: str, new: str) -> tuple[FileChange, FilePatch]:
    """The change and patch between two texts, one hunk."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[Line] = []
    for tag, old_from, old_to, new_from, new_to in difflib.SequenceMatcher(a=before, b=after).get_opcodes():
        if tag == "equal":
            pairs = zip(range(old_from, old_to), range(new_from, new_to), strict=True)
            lines += [Line(" ", one + 1, two + 1, before[one]) for one, two in pairs]
        else:
            lines += [Line("-", index + 1, None, before[index]) for index in range(old_from, old_to)]
            lines += [Line("+", None, index + 1, after[index]) for index in range(new_from, new_to)]
    change = FileChange(
        path=path,
        old_path=None,
        status="modified",
        language="python",
        lines_added=sum(line.kind == "+" for line in lines),
        lines_removed=sum(line.kind == "-" for line in lines),
        syntax_equal=False,
        old_object="7" * 40,
        new_object="8" * 40,
    )
    return change, FilePatch(path, None, None, (Hunk(1, 1, tuple(lines)),))


def _finding(title: str = "A weight changed", severity: Severity = Severity.MEDIUM, **changes: Any) -> dict[str, Any]:
    location = changes.pop("location", Location("ranker.py", 2))
    fields = {"detail": "It feeds a score.", "evidence": {"old": 8.0, "new": 20.0, "ratio": 2.5}} | changes
    return Finding("literal-changed", severity, title, location=location, **fields).to_json()


def _diff(*findings: dict[str, Any], verdict: str = "pass", **changes: Any) -> dict[str, Any]:
    document = {
        "schema": "countersign/diff/v1",
        "base": {"commit": "1" * 40, "tree": "2" * 40},
        "head": {"commit": "3" * 40, "tree": "4" * 40},
        "verdict": verdict,
        "files": [{"path": "ranker.py", "old_path": None, "status": "modified", "language": "python",
                   "lines_added": 1, "lines_removed": 1, "syntax_equal": False}],
        "findings": list(findings),
        "not_analysed": [],
    }  # fmt: skip
    return document | changes


@pytest.fixture
def manifest() -> dict[str, Any]:
    return MANIFEST


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def cell() -> Callable[..., dict[str, Any]]:
    return _cell


@pytest.fixture
def audit() -> Callable[..., dict[str, Any]]:
    return _audit


@pytest.fixture
def diff() -> Callable[..., dict[str, Any]]:
    return _diff


@pytest.fixture
def finding() -> Callable[..., dict[str, Any]]:
    return _finding


@pytest.fixture
def patch() -> Callable[..., tuple[FileChange, FilePatch]]:
    return _patch
