# SPDX-License-Identifier: Apache-2.0
"""skops: a ZIP of a schema and arrays. Types are listed and held against those known to be data; nothing is built."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside import npy
from diffing.artifacts.inside.archives import members
from diffing.artifacts.inside.beside import flat
from diffing.artifacts.inside.words import MAX_HEADER, RefusedError, checked_name, strict_json

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Tensor
    from diffing.artifacts.inside.words import File

_SCHEMA = "schema.json"
_LAYERS = frozenset({"content", "attrs"})
_CHANCE = frozenset({"__id__", "protocol", "_skops_version"})  # addresses and versions: no part of a model
_LONGEST = 200
_BUILTINS = frozenset(
    {"dict", "list", "set", "tuple", "str", "int", "float", "bool", "complex", "slice", "bytes", "bytearray", "json"}
)
_REFUSED_LOADERS = frozenset({"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode", "TypeNode"})


def read(file: File) -> tuple[list[Tensor], dict[str, object]]:
    """The arrays by their place in the schema (members are called by addresses), and all else that the schema says.

    Raises:
        RefusedError: a type or function that is not on the list, or a member that is no array.
    """
    found = {member.name: member for member in members(file, unpacked=False)}
    schema = found.pop(_SCHEMA, None)
    if schema is None or schema.size > MAX_HEADER:
        raise RefusedError(f"no {_SCHEMA}, or one larger than is read")
    types: set[str] = set()
    document = strict_json(schema.file.read(schema.offset, schema.size), _SCHEMA)
    _walk(document, types)
    unknown = sorted(name for name in types if not _listed(name))
    if unknown:
        raise RefusedError(f"the type {unknown[0]} is not on the list of plain data ({len(unknown)} such types)")
    words, places = _placed(document)
    tensors = []
    for name, member in found.items():
        if not name.endswith(".npy"):
            raise RefusedError(f"member {name!r} is no array: only arrays in NumPy's format are read")
        tensors.append(npy.read(member.file, places.get(name) or name, member.offset, member.size))
    return tensors, words


def _placed(document: Any) -> tuple[dict[str, object], dict[str, str]]:  # noqa: ANN401 - parsed JSON
    """Every value of the schema by its place, and the place of each member that it names."""
    words: dict[str, object] = {}
    places: dict[str, str] = {}
    for path, value in flat(document):
        *above, key = path.split(".")
        place = ".".join(part for part in above if part not in _LAYERS)
        if key == "file" and isinstance(value, str):
            places.setdefault(value, checked_name(place[-_LONGEST:]) if place else "")
        elif key not in _CHANCE:
            words[f"{place}.{key}" if place and key not in _LAYERS else place or key] = value
    taken = Counter(places.values())
    return words, {name: place for name, place in places.items() if taken[place] == 1}


def _walk(root: Any, types: set[str]) -> None:  # noqa: ANN401 - parsed JSON
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if isinstance(node.get("__module__"), str) and isinstance(node.get("__class__"), str):
                types.add(checked_name(f"{node['__module__']}.{node['__class__']}"))
            if node.get("__loader__") in _REFUSED_LOADERS:
                raise RefusedError(f"a {checked_name(node['__loader__'])} names code to be called on loading")
            waiting += node.values()


def _listed(name: str) -> bool:
    module, _, kind = name.rpartition(".")
    if module == "builtins":
        return kind in _BUILTINS
    return module.split(".")[0] in {"numpy", "sklearn"} or module.startswith("scipy.sparse")
