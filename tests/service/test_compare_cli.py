# SPDX-License-Identifier: Apache-2.0
"""Options that take several values."""

from __future__ import annotations

import pytest

from service.cli.several import repeated


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("base head --rebuild a b c", "base head --rebuild a --rebuild b --rebuild c"),
        ("base head --rebuild a --rebuild b", "base head --rebuild a --rebuild b"),
        ("base head --rebuild=a b", "base head --rebuild=a --rebuild b"),
        ("base head --panel p --rebuild a b --out o", "base head --panel p --rebuild a --rebuild b --out o"),
        ("--rebuild a base head", "--rebuild a base head"),
        ("base --rebuild a head --panel p", "base --rebuild a head --panel p"),
        ("base head extra", "base head extra"),
        ("base head --panel p extra", "base head --panel p extra"),
    ],
)
def test_several_values_after_one_name_are_the_option_repeated(given: str, read: str) -> None:
    assert repeated(given.split(), {"--rebuild"}, 2) == read.split()
