# SPDX-License-Identifier: Apache-2.0
"""Contrast of the colours as WCAG 2.2 measures it, in both themes: 4.5 for text, 3 for the edges of fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLES = Path(__file__).resolve().parents[2] / "reports" / "static" / "tokens.css"
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLES.read_text(encoding="utf-8")
    )
}
GROUNDS = ("paper", "raised", "sunk")
CODE = [name for name in TOKENS if name.startswith("code-")]
PAIRS = [
    *((text, ground) for text in ("ink", "soft", "link", "fail", "pass", "unsure") for ground in GROUNDS),
    *((text, "paper") for text in ("amplified", "suppressed", "shifted")),
    *((text, f"{text}-wash") for text in ("fail", "pass", "unsure")),
    *((text, f"{wash}-wash") for text in ("ink", "soft") for wash in ("fail", "pass", "unsure")),
    *(
        (text, ground)
        for text in ("ink", *CODE)
        for ground in ("paper", "plus", "minus", "plus-strong", "minus-strong")
    ),
]


def _luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, two: str) -> float:
    low, high = sorted((_luminance(one), _luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read_on_its_ground(text: str, ground: str, theme: int) -> None:
    assert _contrast(TOKENS[text][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_edges_of_fields_can_be_seen(theme: int) -> None:
    assert _contrast(TOKENS["strong-line"][theme], TOKENS["paper"][theme]) >= 3
    assert _contrast(TOKENS["paper"][theme], TOKENS["link"][theme]) >= 4.5
