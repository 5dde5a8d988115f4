# SPDX-License-Identifier: Apache-2.0
"""What a change is: files with renames, facts from both sides compared, findings, and what was not analysed."""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from diffing._run import diff
    from diffing.artifacts import (
        MAX_STATEMENT,
        ROLES,
        DataDiff,
        Heads,
        Keys,
        ModelDiff,
        Provenance,
        data_diff,
        is_statement,
        model_diff,
        read_keys,
        speaks_of,
    )
    from diffing.changes import Diff, FileChange, History, NotAnalysed, RuntimeValue
    from diffing.patches import FilePatch, Hunk, Line, hunks
    from diffing.rules import ReviewerRules, read_rules
    from diffing.wheels import Wheels, compare_wheels

__all__ = [
    "MAX_STATEMENT",
    "ROLES",
    "DataDiff",
    "Diff",
    "FileChange",
    "FilePatch",
    "Heads",
    "History",
    "Hunk",
    "Keys",
    "Line",
    "ModelDiff",
    "NotAnalysed",
    "Provenance",
    "ReviewerRules",
    "RuntimeValue",
    "Wheels",
    "compare_wheels",
    "data_diff",
    "diff",
    "hunks",
    "is_statement",
    "model_diff",
    "read_keys",
    "read_rules",
    "speaks_of",
]

on_demand(__name__)
