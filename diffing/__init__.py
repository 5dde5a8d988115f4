# SPDX-License-Identifier: Apache-2.0
"""What a change is: files with renames, facts from both sides compared, findings, and what was not analysed."""

from diffing._run import diff
from diffing.artifacts import ModelDiff, model_diff
from diffing.changes import Diff, FileChange, NotAnalysed
from diffing.patches import FilePatch, Hunk, Line, hunks

__all__ = ["Diff", "FileChange", "FilePatch", "Hunk", "Line", "ModelDiff", "NotAnalysed", "diff", "hunks", "model_diff"]
