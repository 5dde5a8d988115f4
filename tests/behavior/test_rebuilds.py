# SPDX-License-Identifier: Apache-2.0
"""Rebuilds: what several builds of each side settle, and what they give away."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from behavior import Slates, compare
from behavior._rebuild_help import Quantity, help_words, more_builds
from behavior.exposure import measure
from behavior.rebuilds import Rebuilds, measure_builds, variation
from evidence import CellVerdict, SlatesError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = '[[slices]]\nname = "state"\nwhere = "state"\nseverity = "high"\n'
USERS, ITEMS = 300, 900


class Builds:
    """A panel of one slice, and builds of a recommender whose items move with the seed."""

    def __init__(self, panel: Any, people: Any) -> None:
        self.panel, self.people = panel, people
        self.state = np.arange(ITEMS) % 10 == 0

    def of(self, *seeds: int, lift: float = 0.0, churn: float = 0.4) -> list[Slates]:
        return [
            self.people.slates(self.panel, self.people.version(seed, churn=churn, lift=self.state * lift))
            for seed in seeds
        ]

    def cell(self, audit: Any) -> Any:
        return next(cell for cell in audit.cells if cell.slice == "state" and not cell.cohort)


@pytest.fixture
def builds(panel_folder: Callable[..., Any], world: Callable[..., Any]) -> Builds:
    return Builds(panel_folder(users=USERS, items=ITEMS, slices=ONE).read(), world(USERS, ITEMS))


def test_means_over_builds_are_the_means_of_each(builds: Builds) -> None:
    base, head = builds.of(1, 2, 3), builds.of(4, 5)
    found = measure_builds(builds.panel, base[0], head[0], Rebuilds(tuple(base[1:]), tuple(head[1:])))
    assert found.counts == (3, 2)
    assert found.freedom == 3
    alone = [measure(builds.panel, side, side) for side in (*base, *head)]
    shares = [float(one.exposure.base[0, 0]) / one.unit / USERS for one in alone]
    reaches = [float(one.reach.base[0, 0]) / USERS for one in alone]
    assert found.shares[0][:, 0, 0] == pytest.approx(shares[:3])
    assert found.reaches[1][:, 0, 0] == pytest.approx(reaches[3:])
    pooled = found.pooled
    whole = pooled.unit * USERS
    assert pooled.exposure.base[0, 0] / whole == pytest.approx(np.mean(shares[:3]))
    assert (pooled.exposure.base + pooled.exposure.gain)[0, 0] / whole == pytest.approx(np.mean(shares[3:]))
    assert pooled.reach.base[0, 0] / USERS == pytest.approx(np.mean(reaches[:3]))
    items = pooled.sums.top[0][0].astype(float)
    assert items.sum() / whole == pytest.approx(1.0)


def test_builds_that_are_copies_change_no_figure(builds: Builds) -> None:
    base, head = builds.of(1)[0], builds.of(2)[0]
    one = builds.cell(compare(builds.panel, base, head))
    many = builds.cell(compare(builds.panel, base, head, base_rebuilds=[base] * 2, head_rebuilds=[head]))
    assert (one.base_share, one.ratio_low, one.ratio_high) == (many.base_share, many.ratio_low, many.ratio_high)
    assert many.adjusted_ratio == pytest.approx(one.adjusted_ratio)
    # Copies say that there is no churn: what is left is the sampling of users, which is narrower.
    assert many.churn_high < one.churn_high


def test_the_churn_variance_is_pooled_within_sides() -> None:
    base, head = np.array([0.10, 0.12, 0.11]), np.array([0.20, 0.26])
    found = variation((base[:, None, None], head[:, None, None]))
    squares = sum(((np.log(side) - np.log(side).mean()) ** 2).sum() for side in (base, head))
    assert found.relative[0, 0] == pytest.approx(math.sqrt(squares / 3))
    absent = variation((np.array([0.0, 0.1])[:, None, None], head[:, None, None]))
    assert np.isinf(absent.relative[0, 0])


def test_more_builds_make_a_retrained_model_conclusive(builds: Builds) -> None:
    base, head = builds.of(*range(1, 13), churn=0.06), builds.of(*range(21, 33), churn=0.06)
    single = builds.cell(compare(builds.panel, base[0], head[0]))
    audit = compare(builds.panel, base[0], head[0], base_rebuilds=base[1:], head_rebuilds=head[1:])
    many = builds.cell(audit)
    assert single.verdict is CellVerdict.INCONCLUSIVE
    assert "more rebuild" in str(single.reason)
    assert many.churn_high / many.churn_low < single.churn_high / single.churn_low
    assert many.verdict is CellVerdict.EQUIVALENT
    assert audit.probes[0].searched["rebuilds"]["base"] == 12


def test_a_lift_within_the_noise_of_one_build_is_found_with_several(builds: Builds) -> None:
    base, head = builds.of(*range(1, 9), churn=0.8), builds.of(*range(21, 29), churn=0.8, lift=0.25)
    single = builds.cell(compare(builds.panel, base[0], head[0]))
    many = builds.cell(compare(builds.panel, base[0], head[0], base_rebuilds=base[1:], head_rebuilds=head[1:]))
    assert single.adjusted_p > 0.05
    assert many.adjusted_p <= 0.05
    assert many.minimum_detectable_ratio < single.minimum_detectable_ratio


def test_shuffling_more_than_base_does_is_excess_churn_and_never_passes(builds: Builds) -> None:
    base = builds.of(1, 2, 3, churn=0.02)
    head = builds.of(4, 5, 6, churn=0.5)
    audit = compare(builds.panel, base[0], head[0], base_rebuilds=base[1:], head_rebuilds=head[1:])
    assert "excess-churn" in {finding.rule for finding in audit.findings}
    assert audit.verdict is not Verdict.PASS
    calm = compare(builds.panel, base[0], base[1], base_rebuilds=base[1:], head_rebuilds=[base[0], base[2]])
    assert "excess-churn" not in {finding.rule for finding in calm.findings}


def test_a_shuffle_that_the_seed_does_not_move_is_seen_across(builds: Builds) -> None:
    base = builds.of(1, 2, 3, churn=0.1)
    hidden = np.random.default_rng(5).normal(size=ITEMS) * 2.0
    head = [
        builds.people.slates(builds.panel, builds.people.version(seed, churn=0.1, lift=hidden)) for seed in (4, 5, 6)
    ]
    audit = compare(builds.panel, base[0], head[0], base_rebuilds=base[1:], head_rebuilds=head[1:])
    found = next(finding for finding in audit.findings if finding.rule == "excess-churn")
    assert found.evidence["what"] == "builds of base and of head differ"


def test_a_shopped_seed_is_named_and_fails_nothing(builds: Builds) -> None:
    base, honest = builds.of(*range(1, 6), churn=0.3), builds.of(*range(21, 25), churn=0.3)
    shopped = builds.of(40, lift=0.35, churn=0.3)[0]  # stands for the luckiest of many
    audit = compare(builds.panel, base[0], shopped, base_rebuilds=base[1:], head_rebuilds=honest)
    unlike = [finding for finding in audit.findings if finding.rule == "shipped-build-unlike-rebuilds"]
    found = next(finding for finding in unlike if finding.evidence["side"] == "head")
    assert found.evidence["shipped"] > max(found.evidence["rebuilds"])
    assert audit.verdict is Verdict.INCONCLUSIVE
    assert builds.cell(audit).verdict is not CellVerdict.EQUIVALENT


def test_rebuilds_in_any_order_give_the_same_cells(builds: Builds) -> None:
    base, head = builds.of(1, 2, 3), builds.of(4, 5, 6)
    first = compare(builds.panel, base[0], head[0], base_rebuilds=base[1:], head_rebuilds=head[1:])
    turned = compare(builds.panel, base[0], head[0], base_rebuilds=base[:0:-1], head_rebuilds=head[:0:-1])
    for one, other in zip(first.cells, turned.cells, strict=True):
        assert (one.ratio, one.adjusted_ratio) == (other.ratio, pytest.approx(other.adjusted_ratio))
        assert (one.churn_low, one.churn_high) == pytest.approx((other.churn_low, other.churn_high))


def test_a_rebuild_of_other_users_is_refused_by_name(builds: Builds) -> None:
    base, head = builds.of(1)[0], builds.of(2)[0]
    short = replace(base, user=base.user[1:], context=base.context[1:], top=base.top[1:], deep=base.deep[1:])
    with pytest.raises(SlatesError, match=r"head rebuild 1|not in the"):
        compare(builds.panel, base, head, head_rebuilds=[short])


def test_the_number_of_builds_that_would_settle_it() -> None:
    quantity = Quantity(0.0, 0.02, 0.05, math.log(1.10), (1, 1), None)
    more = more_builds(quantity, 0.9)
    assert more is not None
    settled = replace(quantity, counts=(1 + more, 1 + more))
    assert more_builds(settled, 0.9) == 1
    assert more_builds(replace(quantity, churn=0.2), 0.9) > more
    assert more_builds(replace(quantity, log_ratio=0.2), 0.9) is None
    assert more_builds(replace(quantity, users_half=0.2), 0.9) is None
    assert help_words(1) == "about 1 more rebuild each of base and head would settle it"
    assert "no number of rebuilds" in help_words(None)
