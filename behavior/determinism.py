# SPDX-License-Identifier: Apache-2.0
"""The determinism probe: asked the same twice, does a version answer the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from behavior.audits import ProbeResult
from behavior.cells import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from behavior._recording import Recorded


def determinism(recorded: Mapping[str, Recorded], *, known_users: bool) -> ProbeResult:
    """How many of the requests that were asked twice got another slate, and how far those slates overlap."""
    parts = [_repeated(name, side) for name, side in recorded.items()]
    for name, side in recorded.items():
        if differ := side.slates.prefix_differs:
            parts.append(
                f"in {name} {differ:,} slates of k are not the beginning of the deep slate; the slates of k are judged"
            )
    if known_users:
        parts.append("the manifest says known_users, so the panel's own user ids were sent")
    return ProbeResult(
        "determinism",
        run=True,
        summary="; ".join(parts) + ".",
        searched={
            name: {
                "repeated": side.repeated,
                "alike": side.alike,
                "differing_share": rounded(1.0 - side.alike / side.repeated if side.repeated else 0.0),
                "overlap_of_differing": rounded(side.overlap),
            }
            for name, side in recorded.items()
        },
    )


def _repeated(name: str, side: Recorded) -> str:
    said = f"{name} answered {side.alike} of {side.repeated} repeated requests alike"
    return said if side.overlap is None else f"{said}, the others with an overlap of {side.overlap:.3f} (rank-biased)"
