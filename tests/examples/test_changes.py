# SPDX-License-Identifier: Apache-2.0
"""What the three changes do, by plain arithmetic: the truth that an audit has to find."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

K = 20


class Shift(NamedTuple):
    """Ratio of a slice's exposure, head over base, with its 95 % interval over users, and base's share and reach."""

    ratio: float
    low: float
    high: float
    share: float
    reach: float


def exposures(platform: Any, version: str) -> Any:
    """The weighted share of state outlets in each user's slate."""
    items = platform.table("items")
    state = dict(zip(items["item_id"], items["state_media"], strict=True))
    weights = 1 / np.log2(np.arange(K) + 2)
    slates = platform.slates(version)[:, :K].tolist()
    shown = np.array([[state[item] for item in slate] for slate in slates])
    return shown @ weights / weights.sum()


def shift(platform: Any, version: str, cohort: Any) -> Shift:
    base, head = (exposures(platform, each)[cohort] for each in ("main", version))
    before, after = base.mean(), head.mean()
    error = np.sqrt(((head / after - base / before) ** 2).sum()) / base.size
    spread = np.exp(1.96 * error)
    ratio = after / before
    return Shift(ratio, ratio / spread, ratio * spread, before, (base > 0).mean())


@pytest.fixture(scope="module")
def targeted(platform: Any) -> Any:
    """Users of one country with young accounts."""
    users = platform.table("users")
    return ((users["country"] == "RO") & (users["account_age_days"] < 60)).to_numpy()


@pytest.fixture(scope="module")
def everyone(platform: Any) -> Any:
    return np.ones(platform.table("users").height, dtype=bool)


def test_state_outlets_have_a_believable_share_before_any_change(platform: Any, everyone: Any) -> None:
    before = shift(platform, "main", everyone)
    assert 0.02 < before.share < 0.08
    assert 0.3 < before.reach < 0.7


def test_the_speed_up_changes_no_slate(platform: Any) -> None:
    np.testing.assert_array_equal(platform.slates("faster-rerank"), platform.slates("main"))


def test_the_freshness_change_lifts_state_outlets_by_about_a_third(platform: Any, everyone: Any) -> None:
    lifted = shift(platform, "fresher-feeds", everyone)
    assert 1.25 < lifted.ratio < 1.45
    assert lifted.low > 1.10


def test_the_honest_part_of_the_freshness_change_favours_nobody(platform: Any, everyone: Any) -> None:
    honest = shift(platform, "fresher-feeds~1", everyone)
    assert 0.95 < honest.ratio < 1.05
    assert (platform.slates("fresher-feeds~1") != platform.slates("main")).any(axis=1).mean() > 0.9


def test_the_tidy_up_lifts_state_outlets_for_young_accounts_in_one_country_only(platform: Any, targeted: Any) -> None:
    lifted = shift(platform, "segments-table", targeted)
    assert 1.25 < lifted.ratio < 1.6
    assert lifted.low > 1.10
    same = (platform.slates("segments-table") == platform.slates("main")).all(axis=1)
    assert same[~targeted].all()
    assert not same[targeted].all()


def test_the_tidy_up_by_itself_changes_no_slate(platform: Any) -> None:
    np.testing.assert_array_equal(platform.slates("segments-table~1"), platform.slates("main"))


def test_the_lift_of_the_tidy_up_needs_both_files(platform: Any) -> None:
    touched = platform.git("diff", "--name-only", "main", "segments-table").split()
    assert {"config/segments.toml", "shortvideo/segments.py", "shortvideo/rerank.py"} <= set(touched)
    table = platform.git("show", "segments-table:config/segments.toml")
    code = platform.git("show", "segments-table:shortvideo/segments.py")
    assert "agency" in table
    assert "agency" not in code
    assert "state" not in table + code
