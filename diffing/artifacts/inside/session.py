# SPDX-License-Identifier: Apache-2.0
"""The calls of one comparison.

``open`` gives what there is to compare, ``compare`` the numbers of some of it, ``align`` what is left of a table's
change once its axes are turned back, ``around`` the nearest rows of some of a table's, before and after, ``heads``
what two tables alone would show to whom, ``data`` what two snapshots of training data differ in.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside import around, embeddings, heads, snapshots, wiring
from diffing.artifacts.inside.blocks import digest
from diffing.artifacts.inside.compare import compare, rounded
from diffing.artifacts.inside.formats import Side, open_side
from diffing.artifacts.inside.words import File, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing.artifacts.inside.tensors import Tensor

_SIDES = ("base", "head")


class Session:
    """Holds both opened sides."""

    def __init__(self) -> None:
        self._sides: dict[str, Side] = {}
        self._pairs: list[tuple[Tensor | None, Tensor | None]] = []

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call; what cannot be done is told as ``refused``."""
        calls: dict[str, Callable[[Any], dict[str, Any]]] = {
            "open": self._open,
            "compare": self._compare,
            "align": self._align,
            "around": self._around,
            "heads": self._heads,
            "data": self._data,
        }
        ((name, argument),) = call.items()
        try:
            return calls[name](argument)
        except RefusedError as error:
            return {"refused": str(error)}

    def _open(self, files: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
        self._sides = {side: open_side([File(**file) for file in listed]) for side, listed in files.items()}
        for side in self._sides.keys() - set(_SIDES):
            self._hold_rebuild(side, files[side][0]["name"])
        self._pairs = _pairs(self._sides["base"].tensors, self._sides["head"].tensors)
        return {
            "sides": {name: _told(side) for name, side in self._sides.items()},
            "tables": [bool(old and new and embeddings.fits(old, new)) for old, new in self._pairs],
            "alike": [bool(old and new and embeddings.alike(old, new)) for old, new in self._pairs],
            "bytes": [sum(one.nbytes for one in pair if one) for pair in self._pairs],
            "wiring": self._wiring(),
        }

    def _hold_rebuild(self, side: str, name: str) -> None:
        """Refuse a rebuild of another model: against it nothing would be held, and nobody would be told."""
        base, rebuild = self._sides["base"], self._sides[side]
        if rebuild.unsafe:
            raise RefusedError(f"{rebuild.unsafe[0]['path']}: a rebuild that runs code when it is loaded: never loaded")
        if rebuild.opaque:
            raise RefusedError(f"{rebuild.opaque[0]['path']}: {rebuild.opaque[0]['reason']}")
        if not rebuild.refused and base.tensors and not base.tensors.keys() & rebuild.tensors.keys():
            raise RefusedError(f"{name}: a rebuild that has none of base's tensors")

    def _wiring(self) -> dict[str, dict[str, list[str]]]:
        """The graphs of both sides that are connected otherwise, by file; a tensor of another name is the same."""
        old, new = self._sides["base"], self._sides["head"]
        shared = sorted(set(old.graphs) & set(new.graphs))
        moved = [(one, other) for one, other in self._pairs if shared and one and other and one.name != other.name]
        same = [(one.name, other.name, f"same {digest(one)}") for one, other in moved]
        labels = ({name: label for name, _, label in same}, {name: label for _, name, label in same})
        found = {}
        for name in shared:
            cut = tuple(
                {key.removeprefix(name): label for key, label in side.items() if key.startswith(name)}
                for side in labels
            )
            differs = wiring.differing(old.graphs[name], new.graphs[name], (cut[0], cut[1]))
            if differs is not None:
                found[name or "model"] = differs
        return found

    def _compare(self, which: list[int]) -> dict[str, Any]:
        return {"tensors": [_result(*self._pairs[number]) for number in which]}

    def _table(self, number: int, fits: Callable[[Tensor, Tensor], bool]) -> tuple[Tensor, Tensor]:
        old, new = self._pairs[number]
        if old is None or new is None or not fits(old, new):
            raise RefusedError("not a table that both sides have")
        return old, new

    def _around(self, asked: dict[str, Any]) -> dict[str, Any]:
        return rounded({"around": around.around(*self._table(asked["pair"], embeddings.alike), asked["rows"])})

    def _align(self, asked: dict[str, Any]) -> dict[str, Any]:
        old, new = self._table(asked["pair"], embeddings.fits)
        rebuilds = [
            side.tensors[old.name]
            for name, side in self._sides.items()
            if name not in _SIDES and old.name in side.tensors
        ]
        towards = self._sides["head"].tensors.get(asked["towards"] or "")
        return {"aligned": rounded(embeddings.across(old, new, rebuilds, asked["groups"], towards))}

    def _data(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"snapshots": snapshots.compare(**asked)}

    def _heads(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = (asked["users"], asked["items"])
        missing = [name for name in names for side in _SIDES if name not in self._sides[side].tensors]
        if missing:
            raise RefusedError(f"no heads: not both sides have a tensor {missing[0][:80]!r}")
        tables = [(self._sides[side].tensors[names[0]], self._sides[side].tensors[names[1]]) for side in _SIDES]
        return {"heads": rounded(heads.exposure(tables, asked["groups"], asked["k"]))}


def _told(side: Side) -> dict[str, Any]:
    return {
        "kinds": sorted(side.kinds),
        "tensors": len(side.tensors),
        "refused": side.refused,
        "unsafe": side.unsafe,
        "opaque": side.opaque,
        "ignored": side.ignored,
        "forests": side.forests,
        "operators": side.operators,
        "beside": {name: asdict(one) for name, one in side.beside.items()},
    }


def _pairs(old: dict[str, Tensor], new: dict[str, Tensor]) -> list[tuple[Tensor | None, Tensor | None]]:
    """Tensors of one name; of the others, those whose bytes are the same; then what only one side has."""
    lost = {name: one for name, one in old.items() if name not in new}
    found: list[tuple[Tensor | None, Tensor | None]] = []
    by_content: dict[tuple[str, tuple[int, ...], str], list[Tensor]] = {}
    shapes = {(one.dtype, one.shape) for name, one in new.items() if name not in old}
    for one in lost.values():
        if one.nbytes and (one.dtype, one.shape) in shapes:
            by_content.setdefault((one.dtype, one.shape, digest(one)), []).append(one)
    kept = {key[:2] for key in by_content}
    for name, one in sorted(new.items()):
        before = old.get(name)
        if before is None and (one.dtype, one.shape) in kept:
            same = by_content.get((one.dtype, one.shape, digest(one)))
            before = same.pop(0) if same else None
            if before is not None:
                del lost[before.name]
        found.append((before, one))
    return [*found, *((one, None) for _, one in sorted(lost.items()))]


def _result(old: Tensor | None, new: Tensor | None) -> dict[str, Any]:
    if old is not None and new is not None:
        result = compare(old, new)
        return result | {"old_name": old.name} if old.name != new.name else result
    one = old or new
    assert one is not None  # noqa: S101 - a pair has a side
    added = old is None
    return {
        "name": one.name, "status": "added" if added else "removed",
        "old_shape": None if added else list(one.shape), "new_shape": list(one.shape) if added else None,
        "old_dtype": None if added else one.dtype, "new_dtype": one.dtype if added else None,
        "relative_l2": None, "cosine": None, "max_abs": None, "changed_share": None, "outlier_rows": [],
        "digest": {"old": None if added else digest(one), "new": digest(one) if added else None},
    }  # fmt: skip
