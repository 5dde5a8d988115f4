# SPDX-License-Identifier: Apache-2.0
"""Verdicts: of a cell, and of the whole."""

from __future__ import annotations

from enum import StrEnum


class CellVerdict(StrEnum):
    """What was found for one slice in one cohort. "Not significant" is never "equivalent"."""

    AMPLIFIED = "amplified"
    SUPPRESSED = "suppressed"
    SHIFTED = "shifted"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not-run"


class Verdict(StrEnum):
    """What a diff, an audit or a review comes to."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """The exit status of the CLI: 0 pass, 1 fail, 3 inconclusive."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}[self]

    @staticmethod
    def combine(*verdicts: Verdict) -> Verdict:
        """Fail if any fails, pass only if there are some and all pass, else inconclusive."""
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        if verdicts and all(verdict is Verdict.PASS for verdict in verdicts):
            return Verdict.PASS
        return Verdict.INCONCLUSIVE
