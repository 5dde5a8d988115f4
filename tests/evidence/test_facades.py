# SPDX-License-Identifier: Apache-2.0
"""Rooms that import on demand offer what they list, whatever was imported before."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROOMS = ("behavior", "confine", "diffing", "reports", "signoff")


@pytest.mark.parametrize("name", ROOMS)
def test_everything_a_room_lists_is_there(name: str) -> None:
    room = importlib.import_module(name)
    assert [each for each in room.__all__ if getattr(room, each, None) is None] == []
    assert set(room.__all__) <= set(dir(room))


@pytest.mark.parametrize("name", ROOMS)
def test_a_name_that_is_not_there_is_said_so(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = importlib.import_module(name).nothing


@pytest.mark.parametrize(("room", "name"), [("behavior", "power"), ("reports", "visible"), ("signoff", "gate")])
def test_a_module_does_not_stand_before_the_function_of_its_name(root: Path, room: str, name: str) -> None:
    code = f"import {room}.{name}, {room}; print(type({room}.{name}).__name__)"
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == FunctionType.__name__


def test_a_room_imports_nothing_before_it_is_asked(root: Path) -> None:
    code = f"import sys, {', '.join(ROOMS)}; print([m for m in sys.modules if m.partition('.')[0] in {ROOMS!r}])"
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert sorted(said.stdout.strip("[]\n").replace("'", "").split(", ")) == sorted(ROOMS)
