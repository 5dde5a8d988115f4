# SPDX-License-Identifier: Apache-2.0
"""What one user's slates bring together: items that move by a few users' change are no independent items.

Permuted labels take each item's shift for one draw. Where few users changed it is not: a reader who leaves a
subreddit loses all of its posts at once. The variance of a cell's sum over users is therefore added to the one over
items, less what is in both (two-way clustering: Cameron, Gelbach and Miller 2011). After a retrain, where every
item moves for thousands of users alike, it adds next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._strata import by_stratum
from behavior._tally import cohorts_of_users, depths, user_items
from behavior._weights import position_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

MOST_USERS = 1 << 14  # changed users: beyond it, what few of them bring together drowns


@dataclass(frozen=True)
class UserShifts:
    """Head less base of every user whose recorded slates differ: such users x shown items, by the item sums' names.

    ``members`` are the cohorts, cohorts x such users, 0/1; ``users`` counts all of each cohort's users.
    """

    moved: Mapping[str, sparse.csr_array]
    members: sparse.csr_array
    users: Integers

    def excess(self, name: str, labels: sparse.csr_array, weights: Floats, codes: Integers) -> Floats:
        """The variance over users of each slice's weighted sum less what single items explain: slices x cohorts.

        Args:
            name: which of ``moved``.
            labels: shown items x slices; their means over strata are taken out.
            weights: of each item in each cohort, cohorts x shown items.
            codes: each item's stratum.
        """
        inside = by_stratum(codes)
        mean = np.asarray((inside @ labels).todense()) / np.maximum(np.bincount(codes), 1)[:, None]
        slices, cohorts = labels.shape[1], len(self.users)
        both = sparse.csr_array(sparse.hstack([labels, inside.T], format="csr"))
        over_users = np.zeros((slices, cohorts))
        square = np.zeros((labels.shape[0], cohorts))  # of every item's weighted shifts, summed over users
        for cohort, users in enumerate(np.split(self.members.indices, self.members.indptr[1:-1])):
            shifts = self.moved[name][users].astype(np.float64)
            shifts.data *= weights[cohort].take(shifts.indices)
            square[:, cohort] = np.bincount(shifts.indices, shifts.data**2, minlength=len(square))
            each = (shifts @ both).toarray()
            each = each[:, :slices] - each[:, slices:] @ mean
            count = max(int(self.users[cohort]), 2)
            sums = each.sum(axis=0)
            over_users[:, cohort] = ((each * each).sum(axis=0) - sums * sums / count) * (count / (count - 1))
        # The sum over items of (label - mean)² times their square, multiplied out.
        entries = labels.tocoo()
        place = codes[entries.row] * slices + entries.col
        crossed = sparse.csr_array((entries.data, (place, entries.row)), shape=(mean.size, len(codes))) @ square
        of_items = labels.multiply(labels).T @ square + (mean**2).T @ (inside @ square)
        of_items -= 2 * (crossed.reshape(*mean.shape, cohorts) * mean[:, :, None]).sum(axis=0)
        return np.asarray(np.maximum(over_users - of_items, 0.0))


def user_shifts(panel: Panel, base: Slates, head: Slates, items: Integers) -> UserShifts | None:
    """Each changed user's shifts on ``items``, from slates that answer the same requests; None where too many changed.

    Requests of one user share their weight, as in ``tally``; an item counts once as seen.
    """
    differs = (base.top != head.top).any(axis=1)
    depth = 0 if base.deep is None or head.deep is None else min(base.deep.shape[1], head.deep.shape[1])
    if base.deep is not None and head.deep is not None:
        differs |= (base.deep[:, :depth] != head.deep[:, :depth]).any(axis=1)
    users = np.unique(base.user[differs].astype(np.int64))
    if not 0 < len(users) <= MOST_USERS:
        return None
    covered = np.unique(base.user.astype(np.int64))
    rows = np.flatnonzero(np.isin(base.user, users))
    request = np.searchsorted(users, base.user[rows])
    blocks = {"top": ("top", position_weights(panel.toml.exposure.weights, base.top.shape[1]))}
    for name, places in depths(base.top.shape[1], depth).items():
        blocks[name] = "deep", position_weights("uniform", places)
    sides = []
    for side in (base, head):
        given = {
            name: user_items(getattr(side, field)[rows, : len(weights)], request, weights, panel.items.height)
            for name, (field, weights) in blocks.items()
        }
        given["seen"] = given["top"].sign()
        sides.append(given)
    moved = {name: sparse.csr_array((sides[1][name] - given)[:, items]) for name, given in sides[0].items()}
    cohorts = cohorts_of_users(panel)
    return UserShifts(moved, cohorts[users].T.tocsr(), np.asarray(cohorts[covered].sum(axis=0)).ravel())
