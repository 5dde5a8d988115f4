# SPDX-License-Identifier: Apache-2.0
"""Rooms that import what is asked of them, when it is asked.

A room's ``__init__`` lists what it offers. Imported at once, all of it takes two seconds, and a command that compares
slates would wait for a library of syntax trees. ``on_demand`` reads the imports that stand under ``if TYPE_CHECKING:``,
where type checkers, editors and the checks of import directions see them, and makes each when its name is first used.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class _Facade(ModuleType):
    """A package whose names are imported when they are first used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._places: dict[str, str] = {}

    def __getattr__(self, name: str) -> object:
        place = self._places.get(name)
        if place is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(place), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as every object's
        # A module that was imported becomes an attribute of its package. One that has a name of the facade's, as the
        # module ``power`` of the function ``power``, must not stand before it.
        if not (isinstance(value, ModuleType) and name in self.__dict__.get("_places", ())):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._places})


def on_demand(package: str) -> None:
    """Let ``package`` import the names of its ``if TYPE_CHECKING:`` block one by one. Called in its ``__init__``."""
    module = sys.modules[package]
    module.__dict__["_places"] = dict(_names(module))
    module.__class__ = _Facade


def _names(module: ModuleType) -> list[tuple[str, str]]:
    """Every name under ``if TYPE_CHECKING:`` in a module's source, and where it is imported from."""
    return [
        (alias.name, imported.module)
        for block in ast.parse(inspect.getsource(module)).body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for imported in block.body
        if isinstance(imported, ast.ImportFrom) and imported.module
        for alias in imported.names
    ]
