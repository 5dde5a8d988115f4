# SPDX-License-Identifier: Apache-2.0
"""How hostile code, repositories and files are held: git repositories, the sandbox, limits, what was attempted."""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from confine.limits import Attempt, Limits
    from confine.parsing import PARSER_LIMITS, Parser
    from confine.recommender import HistoryEvent, Recommender, Request, Slate
    from confine.repository import (
        Commit,
        DiffEntry,
        FetchLimits,
        Person,
        Repository,
        Skipped,
        TreeEntry,
    )
    from confine.sandbox_report import SandboxReport, sandbox_report

__all__ = [
    "PARSER_LIMITS",
    "Attempt",
    "Commit",
    "DiffEntry",
    "FetchLimits",
    "HistoryEvent",
    "Limits",
    "Parser",
    "Person",
    "Recommender",
    "Repository",
    "Request",
    "SandboxReport",
    "Skipped",
    "Slate",
    "TreeEntry",
    "sandbox_report",
]

on_demand(__name__)
