# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the artifacts' tests: files are built by ``building.py``, byte by byte where they are hostile."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from diffing import ModelDiff

_NAME = "building"


def _building() -> ModuleType:
    """The module beside this file, under its own name: importlib mode puts no folder on the path."""
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name(f"{_NAME}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[_NAME]


_building()


@pytest.fixture
def between(tmp_path: Path) -> Callable[..., ModelDiff]:
    """The difference between two files of one name, given their bytes."""
    from diffing import model_diff  # noqa: PLC0415 - after the path is set up

    def differ(name: str, base: bytes, head: bytes) -> Any:
        for side, data in (("base", base), ("head", head)):
            (tmp_path / side).mkdir(exist_ok=True)
            (tmp_path / side / name).write_bytes(data)
        return model_diff(tmp_path / "base" / name, tmp_path / "head" / name)

    return differ
