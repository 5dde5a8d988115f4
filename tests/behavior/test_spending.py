# SPDX-License-Identifier: Apache-2.0
"""Alpha over the revisions of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from behavior import compare
from behavior._spending import at_revision, spent_share
from evidence import CellVerdict, InputError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_all_revisions_together_spend_no_more_than_alpha() -> None:
    shares = [spent_share(revision) for revision in range(1, 1001)]
    assert shares[:3] == pytest.approx([1 / 2, 1 / 6, 1 / 12])
    assert shares == sorted(shares, reverse=True)
    assert 0.99 < sum(shares) < 1.0


def test_a_later_revision_has_less_alpha_and_enough_permutations(panel_folder: Callable[..., Any]) -> None:
    panel = panel_folder().read()
    assert at_revision(panel, None) is panel
    for revision in (1, 2, 5, 20):
        left = at_revision(panel, revision)
        assert left.toml.alpha == pytest.approx(0.05 * spent_share(revision))
        assert 1.0 / (left.toml.permutations + 1) <= left.toml.alpha_fail
        assert left.digest == panel.digest
    for refused in (0, -1, 100_000):
        with pytest.raises(InputError, match="revision"):
            at_revision(panel, refused)


def _exposure(audit: Any) -> list[Any]:
    return [cell for cell in audit.cells if cell.probe == "exposure"]


def test_what_is_flagged_at_first_may_not_be_at_the_ninth_look(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    panel, people = panel_folder(users=200, items=600).read(), world(200, 600)
    state = (panel.items["state"].cast(float)).to_numpy()
    base = people.slates(panel, people.version(1))
    for lift in np.arange(0.1, 0.62, 0.05):
        head = people.slates(panel, people.version(2, lift=state * lift))
        looks = [compare(panel, base, head, revision=revision, only=()) for revision in (None, 9)]
        first, ninth = (
            [cell.verdict in {CellVerdict.SHIFTED, CellVerdict.AMPLIFIED} for cell in _exposure(look)] for look in looks
        )
        assert all(earlier or not later for earlier, later in zip(first, ninth, strict=True))
        if sum(first) > sum(ninth):
            break
    else:
        pytest.fail("no lift was flagged at a single look and not at the ninth")
    assert looks[1].probes[0].searched["alpha"] == pytest.approx(0.05 / 90)
