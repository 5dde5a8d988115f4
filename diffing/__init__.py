# SPDX-License-Identifier: Apache-2.0
"""What a change is: files with renames, facts from both sides compared, findings, and what was not analysed."""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from diffing._run import diff
    from diffing.artifacts import ROLES, DataDiff, Heads, Keys, ModelDiff, Provenance, data_diff, model_diff, read_keys
    from diffing.changes import Diff, FileChange, History, NotAnalysed, RuntimeValue
    from diffing.patches import FilePatch, Hunk, Line, hunks
    from diffing.rules import ReviewerRules, read_rules
    from diffing.wheels import Wheels, compare_wheels

__all__ = [
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
    "model_diff",
    "read_keys",
    "read_rules",
]

on_demand(__name__)
