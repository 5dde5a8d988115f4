# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shortvideo import freshness
from shortvideo.catalogue import Catalogue
from shortvideo.freshness import Freshness


def test_freshness_halves_with_every_half_life(catalogue: Catalogue) -> None:
    fresh = Freshness(catalogue, 50.0).of(np.array([5, 1, 0]), 1000)
    assert fresh == pytest.approx([1.0, 0.5, 0.25])


def test_what_is_not_out_yet_is_as_fresh_as_can_be(catalogue: Catalogue) -> None:
    assert Freshness(catalogue, 50.0).of(np.array([5]), 990) == pytest.approx([1.0])


def test_a_batched_feed_is_as_old_as_its_arrival(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "BATCHED_FEEDS", frozenset({"c0"}))
    fresh = Freshness(catalogue, 50.0).of(np.array([0, 3]), 1030)
    assert fresh == pytest.approx([0.25, 2 ** (-40 / 50)])
