# SPDX-License-Identifier: Apache-2.0
"""The helpers of these tests, which are modules beside this file, and a small world to sign in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from world import World


def _sibling(name: str) -> None:
    """Test folders are no packages: a helper beside this file is loaded by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


for helper in ("alike", "world", "recipes", "changing", "parsers", "fuzzer"):
    _sibling(helper)


@pytest.fixture
def world(tmp_path: Path) -> World:
    model = tmp_path / "model.npz"
    model.write_bytes(b"large model" * 100)
    made: World = sys.modules["world"].make_world(tmp_path, model)
    return made
