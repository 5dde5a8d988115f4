# SPDX-License-Identifier: Apache-2.0
"""Alpha over the revisions of one change: spent, not renewed.

Whoever is refused can push again, and chance forgives a little each time. The n-th revision of a change is judged at
``alpha / (n (n + 1))``: a half, a sixth, a twelfth and so on, which add up to ``alpha`` however many there are (the
sum telescopes). By the union bound the chance that a harmless change is flagged at any of its revisions stays below
``alpha``, whatever its author learns in between. ``alpha_fail`` is spent in the same way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from evidence import InputError

if TYPE_CHECKING:
    from behavior.panels import Panel

FEWEST_EXCEEDING = 2  # permutations that may reach a shift that still fails: below it one unlucky draw decides
MOST_PERMUTATIONS = 200_000


def spent_share(revision: int) -> float:
    """The share of alpha that the ``revision``-th look at a change may spend; counted from 1."""
    return 1.0 / (revision * (revision + 1))


def at_revision(panel: Panel, revision: int | None) -> Panel:
    """The panel with what is left of alpha for the n-th revision of a change; None is a single look with all of it.

    More permutations are drawn where so small an alpha could not be reached otherwise. The panel's digest stays what
    it is: the rules are the same, and the revision is in the document.

    Raises:
        InputError: a revision below 1, or one so late that nothing is left to spend; open a new change.
    """
    if revision is None:
        return panel
    if revision < 1:
        raise InputError(f"revision {revision}: revisions are counted from 1")
    share = spent_share(revision)
    toml = panel.toml
    wanted = math.ceil(FEWEST_EXCEEDING / (toml.alpha_fail * share))
    permutations = max(toml.permutations, min(wanted, MOST_PERMUTATIONS))
    if 1.0 / (permutations + 1) > toml.alpha_fail * share:
        raise InputError(f"revision {revision}: no alpha is left for another look at this change; open a new one")
    left = {"alpha": toml.alpha * share, "alpha_fail": toml.alpha_fail * share, "permutations": permutations}
    return replace(panel, toml=toml.model_copy(update=left))
