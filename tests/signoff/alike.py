# SPDX-License-Identifier: Apache-2.0
"""Where the gate refuses, of what the verifier that stands alone looks at too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signoff import GateResult


def refused_at(result: GateResult) -> int | None:
    """The step; None if none, and for what of step 10 a policy may set otherwise: only independence is for both."""
    refused = result.refused
    if refused is None or refused.number != 10:
        return None if refused is None else refused.number
    own = refused.detail.startswith("independence: ") or any(
        one.name == "independence" and not one.state.met for one in result.requirements
    )
    return 10 if own else None
