# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from shortvideo.segments import Segment, read_segments


@pytest.mark.parametrize(("country", "days", "holds"), [("DE", 3, True), ("DE", 30, False), ("FR", 3, False)])
def test_every_condition_must_hold(country: str, days: int, *, holds: bool) -> None:
    segment = Segment("trial", countries=frozenset({"DE"}), younger_than_days=14, add=())
    assert segment.holds(country, days) is holds


def test_a_condition_that_is_left_out_holds(tmp_path: Path) -> None:
    (tmp_path / "segments.toml").write_text('[[segment]]\nname = "all"\nadd = { completion = 0.1 }\n')
    (segment,) = read_segments(tmp_path / "segments.toml")
    assert segment.holds("", 0)
    assert segment.add == (("completion", 0.1),)
