# SPDX-License-Identifier: Apache-2.0
"""From a side's files to its tensors: each file to the one parser of its declared type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside import (
    archives,
    beside,
    gguf,
    lightgbm,
    npy,
    onnx,
    pickles,
    safetensors,
    scratch,
    skops,
    xgboost,
)
from diffing.artifacts.inside.beside import Beside
from diffing.artifacts.inside.polyglots import is_pickle, refuse_zip
from diffing.artifacts.inside.words import (
    MAX_HEADER,
    MAX_TENSORS,
    File,
    RefusedError,
    elements,
    missing_shard,
    strict_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing.artifacts.inside.tensors import Tensor
    from diffing.artifacts.inside.wiring import Graph

_LFS = b"version https://git-lfs.github.com/spec/"
_UNSAFE = frozenset(
    {
        *(".pkl", ".pickle", ".pck", ".joblib", ".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".keras", ".pb", ".dill"),
        *(".cloudpickle", ".mar", ".rds", ".rdata"),
    }
)
_BY_SUFFIX = {
    ".safetensors": "safetensors", ".npy": "npy", ".npz": "npz", ".onnx": "onnx", ".gguf": "gguf", ".ubj": "xgboost",
    ".parquet": "table", ".arrow": "table", ".feather": "table", ".ipc": "table", ".skops": "skops",
    ".zip": "archive", ".tar": "archive", ".lgb": "lightgbm", ".lightgbm": "lightgbm",
}  # fmt: skip
_PROSE = frozenset({".md", ".txt", ".json", ".toml", ".yaml", ".yml", ".csv", ".tsv", ".jsonl", ".license", ""})
_PACKED = frozenset({".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz4", ".7z", ".rar", ".br"})
_TABLES = frozenset({"npy", "npz", "gguf", "skops", "table"})
_ZIPPED = frozenset({"npz", "skops"})
_SNIFFED = 4096


@dataclass
class Side:
    """What one side holds. ``refused``, ``unsafe`` and ``opaque`` name the file and say why, in one line.

    ``graphs`` are those of each file by name, ``beside`` is what stands beside the numbers.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    forests: dict[str, dict[str, Any]] = field(default_factory=dict)
    operators: dict[str, dict[str, int]] = field(default_factory=dict)
    graphs: dict[str, dict[str, Graph]] = field(default_factory=dict)
    beside: dict[str, Beside] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    refused: list[dict[str, str]] = field(default_factory=list)
    unsafe: list[dict[str, Any]] = field(default_factory=list)
    opaque: list[dict[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def tell(self, name: str, what: str, words: Mapping[str, object], *, acts: bool) -> None:
        """Take what stands beside the numbers of a file."""
        if words:
            self.beside[f"{name or 'model'} {what}"] = Beside(what, acts, beside.words_of(words))

    def add(self, prefix: str, found: Tensor) -> None:
        """Take a tensor under its name, with the prefix of its file where a side has several."""
        name = f"{prefix}{found.name}"
        if name in self.tensors:
            raise RefusedError(f"two tensors are called {name!r}")
        if len(self.tensors) >= MAX_TENSORS:
            raise RefusedError(f"more than {MAX_TENSORS:,} tensors")
        self.tensors[name] = replace(found, name=name)


def open_side(files: list[File]) -> Side:
    """Read the headers of all files of one side; a file that cannot be read is told, the others are still read."""
    scratch.begin_side()
    side = Side()
    kinds = [(file, _try_kind(file, side)) for file in files]
    several = sum(kind in _READERS or kind in {"archive", "safetensors"} for _, kind in kinds) > 1
    shards = [file for file, kind in kinds if kind == "safetensors"]
    indices = [file for file, kind in kinds if kind == "index"]
    for file, kind in kinds:
        if kind in _OPENED:
            _try(side, file, kind, f"{file.name}:" if several else "")
    if shards or indices:
        side.kinds.add("safetensors")
        _shards(side, shards, indices)
    return side


def _shards(side: Side, shards: list[File], indices: list[File]) -> None:
    """All safetensors of a side are one model; where one cannot be read, its name is told."""
    try:
        told: dict[str, object] = {}
        found = safetensors.read_shards(shards, indices, told)
        side.tell("", "metadata", told, acts=False)
        _hold_values(found)
        for one in found:
            side.add("", one)
    except RefusedError as error:
        bad = next((file for file in shards if _fails(file)), indices[0] if indices else shards[0])
        side.refused.append({"path": bad.name, "reason": str(error)})


def _hold_values(found: list[Tensor]) -> None:
    """Graphs and trees may hold empty lists; a table that is empty is a mistake, and would compare as unchanged."""
    bare = next((one for one in found if not elements(one.shape)), None)
    if bare is not None:
        raise RefusedError(f"{bare.name!r} holds no values: its shape is {list(bare.shape)}")


def _fails(file: File) -> bool:
    try:
        _hold_values(safetensors.read(file))
    except RefusedError:
        return True
    return False


def _try_kind(file: File, side: Side) -> str:
    try:
        return kind_of(file)
    except RefusedError as error:
        side.refused.append({"path": file.name, "reason": str(error)})
        return "refused"


def kind_of(file: File) -> str:
    """The declared type of a file, by its ending; text and JSON are told apart by how they begin."""
    start = file.read(0, min(file.size, _SNIFFED))
    suffix = file.suffix
    if suffix in _BY_SUFFIX and not start:
        raise RefusedError("an empty file")
    told = (
        ("pointer", start.startswith(_LFS)),
        (_BY_SUFFIX.get(suffix, ""), suffix in _BY_SUFFIX),
        ("unsafe", suffix in _UNSAFE or _begins_as_pickle(start) or is_pickle(start, calling=True, rest=file)),
        ("lightgbm", lightgbm.looks_like(start)),
        ("index", safetensors.is_index(file.name)),
        ("xgboost", suffix == ".json" and _is_xgboost(file)),
        ("prose", suffix in _PROSE and b"\0" not in start),
    )
    return next((kind for kind, so in told if so), "binary")


def _begins_as_pickle(start: bytes) -> bool:
    """A pickle with its protocol, or a ZIP archive with one in front, as torch writes it."""
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    return start.startswith(b"PK\x03\x04") and b"data.pkl" in start


def _is_xgboost(file: File) -> bool:
    if file.size > MAX_HEADER or b'"learner"' not in file.read(0, file.size):
        return False
    document = strict_json(file.read(0, file.size), "the model")
    return isinstance(document, dict) and "learner" in document


def _try(side: Side, file: File, kind: str, prefix: str) -> None:
    try:
        _open(side, file, kind, prefix)
    except RefusedError as error:
        side.refused.append({"path": file.name, "reason": str(error)})
    except (MemoryError, RecursionError, OverflowError) as error:
        side.refused.append({"path": file.name, "reason": f"more than can be read: {type(error).__name__}"})


def _open(side: Side, file: File, kind: str, prefix: str) -> None:
    if kind == "unsafe":
        side.unsafe.append({"path": file.name, **pickles.describe(file)})
    elif kind == "pointer":
        side.opaque.append({"path": file.name, "reason": "a Git LFS pointer without its content"})
    elif kind == "binary":
        packed = file.suffix in _PACKED
        reason = (
            "a packed file: hand it in unpacked, or as ZIP or TAR" if packed else "a binary file of no known format"
        )
        side.opaque.append({"path": file.name, "reason": reason})
    elif kind == "prose":
        side.ignored.append(file.name)
        side.tell(file.name, "text", beside.digest_of(file), acts=False)
    elif kind == "archive":
        _archive(side, file, prefix)
    else:
        side.kinds.add(kind)
        if kind not in _ZIPPED:
            refuse_zip(file)
        found = _READERS[kind](side, file, prefix)
        _hold_values(found if kind in _TABLES else [])
        for one in found:
            side.add(prefix, one)


def _archive(side: Side, file: File, prefix: str) -> None:
    """Members are opened as the files of a folder; an archive within an archive is not."""
    inner = []
    for member in archives.members(file):
        part = (
            member.file.read(member.offset + at, min(1 << 20, member.size - at))
            for at in range(0, member.size, 1 << 20)
        )
        unpacked = member.file if member.file is not file else scratch.spool(member.name, part)
        inner.append(File(f"{file.name}/{member.name}", unpacked.path))
    within = next((one for one in inner if one.suffix in (".zip", ".tar")), None)
    if within is not None:
        raise RefusedError(f"an archive within an archive: {within.name.rpartition('/')[2]!r}; hand it in unpacked")
    lacking = missing_shard(one.name for one in inner)
    if lacking is not None:
        raise RefusedError(f"the shard {lacking.rpartition('/')[2]!r} is missing")
    used = scratch.used()
    found = open_side(inner)
    scratch.add_used(used)
    side.kinds.add("archive")
    for attribute in ("refused", "unsafe", "opaque", "ignored"):
        getattr(side, attribute).extend(getattr(found, attribute))
    for one in found.tensors.values():
        side.add(prefix, one)
    side.forests |= {f"{prefix}{name}": forest for name, forest in found.forests.items()}
    side.operators |= {f"{prefix}{name}": graph for name, graph in found.operators.items()}
    side.graphs |= {f"{prefix}{name}": graphs for name, graphs in found.graphs.items()}
    side.beside |= {f"{prefix}{name}": words for name, words in found.beside.items()}


def _lightgbm(side: Side, file: File, prefix: str) -> list[Tensor]:
    forest, words = lightgbm.read(file)
    side.forests[prefix or "model"] = forest.summary()
    side.tell(prefix, "settings", words, acts=False)
    return forest.tensors()


def _npz(side: Side, file: File, prefix: str) -> list[Tensor]:
    del side, prefix
    found = []
    for member in archives.members(file, unpacked=False):
        if not member.name.endswith(".npy"):
            raise RefusedError(f"member {member.name!r} is no array")
        found.append(npy.read(member.file, member.name.removesuffix(".npy"), member.offset, member.size))
    return found


def _npy(side: Side, file: File, prefix: str) -> list[Tensor]:
    del side, prefix
    return [npy.read(file, "array")]


def _onnx(side: Side, file: File, prefix: str) -> list[Tensor]:
    model = onnx.read(file)
    side.operators[prefix or "model"] = dict(sorted(model.operators.items()))
    side.graphs[prefix] = model.graphs
    side.tell(prefix, "versions and metadata", model.words, acts=False)
    return [model.tensors[name] for name in sorted(model.tensors)]


def _xgboost(side: Side, file: File, prefix: str) -> list[Tensor]:
    tensors, forest, words = xgboost.read(file)
    side.tell(prefix, "settings", words, acts=False)
    if forest is not None:
        side.forests[prefix or "model"] = forest.summary()
    return tensors


def _skops(side: Side, file: File, prefix: str) -> list[Tensor]:
    tensors, words = skops.read(file)
    side.tell(prefix, "values of the schema", words, acts=True)
    return tensors


def _gguf(side: Side, file: File, prefix: str) -> list[Tensor]:
    tensors, words = gguf.read(file)
    for acts in (True, False):
        part = {name: value for name, value in words.items() if name.startswith("general.") is not acts}
        side.tell(prefix, "metadata" if acts else "description", part, acts=acts)
    return tensors


def _table(side: Side, file: File, prefix: str) -> list[Tensor]:
    from diffing.artifacts.inside import tables  # noqa: PLC0415 - needs pyarrow, which is there only for tables

    del side, prefix
    return tables.read(file)


_READERS: dict[str, Any] = {
    "npy": _npy,
    "npz": _npz,
    "onnx": _onnx,
    "gguf": _gguf,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "skops": _skops,
    "table": _table,
}
_OPENED = frozenset({*_READERS, "archive", "unsafe", "pointer", "binary", "prose"})
