# SPDX-License-Identifier: Apache-2.0
"""Model files, good and hostile, written by our own code from the formats' specifications."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8"}


def safetensors(tensors: dict[str, Array] | dict[str, tuple[str, list[int], bytes]], **more: Any) -> bytes:
    """A safetensors file; a tensor is an array or (dtype, shape, bytes). ``more`` goes into the header as it is."""
    header: dict[str, Any] = {}
    body = b""
    for name, one in tensors.items():
        dtype, shape, raw = one if isinstance(one, tuple) else (_NAMES[str(one.dtype)], list(one.shape), one.tobytes())
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    return framed(json.dumps(header | more).encode(), body)


def framed(header: bytes, body: bytes = b"") -> bytes:
    """A header with its length, and what follows."""
    return struct.pack("<Q", len(header)) + header + body


def npy(array: Array) -> bytes:
    """An array as NumPy writes it; objects become a pickle."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(arrays: dict[str, Array], *, packed: bool = False) -> bytes:
    """An archive of arrays."""
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def zipped(members: dict[str, bytes], *, packed: bool = True, mode: int = 0o644) -> bytes:
    """A ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return stream.getvalue()


def tarred(members: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """A TAR archive; ``kind`` makes links of its members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, 0 if target else len(data)
            archive.addfile(entry, io.BytesIO(data) if not target else None)
    return stream.getvalue()


def gguf(
    tensors: list[tuple[str, list[int], int, bytes]],
    *,
    count: int | None = None,
    entries: int = 0,
    offset: int = 0,
    words: dict[str, str] | None = None,
) -> bytes:
    """A GGUF file of (name, shape fastest first, type, bytes); ``count`` and ``entries`` may lie."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors) if count is None else count, entries + len(words or {}))
    for key, word in (words or {}).items():
        head += b"".join(
            (struct.pack("<Q", len(key)), key.encode(), struct.pack("<IQ", 8, len(word.encode())), word.encode())
        )
    body = b""
    for name, shape, kind, raw in tensors:
        body += b"\0" * (-len(body) % 32)
        head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, len(body) + offset)
        body += raw
    return head + b"\0" * (-len(head) % 32) + body


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a Protocol Buffers message: a number, or bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def onnx_tensor(name: str, array: Array, *, listed: bool = False) -> bytes:
    """A TensorProto of float32, as raw bytes or as a list of numbers."""
    body = b"".join(field(1, length) for length in array.shape) + field(2, 1) + field(8, name)
    return body + field(4 if listed else 9, array.astype("<f4").tobytes())


def onnx(initialisers: list[bytes], operators: list[str], constants: dict[str, Array] | None = None) -> bytes:
    """A model of one graph."""
    graph = b"".join(field(1, field(2, f"out{number}") + field(4, one)) for number, one in enumerate(operators))
    for name, array in (constants or {}).items():
        attribute = field(1, "value") + field(5, onnx_tensor("", array))
        graph += field(1, field(2, name) + field(4, "Constant") + field(5, attribute))
    graph += b"".join(field(5, one) for one in initialisers)
    return field(1, 8) + field(7, graph)


def onnx_node(
    operator: str, takes: list[str], gives: str, *, words: dict[str, str] | None = None, graph: bytes = b""
) -> bytes:
    """A NodeProto as a field of its graph; ``words`` are attributes of text, ``graph`` one that it runs."""
    node = b"".join(field(1, name) for name in takes) + field(2, gives) + field(4, operator)
    for name, word in (words or {}).items():
        node += field(5, field(1, name) + field(4, word))
    return field(1, node + (field(5, field(1, "then_branch") + field(6, graph)) if graph else b""))


def onnx_graph(nodes: list[bytes], tensors: dict[str, Array], takes: list[str], gives: list[str]) -> bytes:
    """A GraphProto."""
    graph = b"".join(nodes) + b"".join(field(5, onnx_tensor(name, array)) for name, array in tensors.items())
    return graph + b"".join(
        field(number, field(1, name)) for number, names in ((11, takes), (12, gives)) for name in names
    )


def lightgbm(
    features: list[str], trees: list[tuple[list[int], list[float], list[float]]], more: str = "", tail: str = ""
) -> bytes:
    """LightGBM's text of (split features, thresholds, leaf values); ``more`` goes into each tree, ``tail`` behind."""
    lines = ["tree", "version=v4", "num_class=1", f"max_feature_idx={len(features) - 1}", "objective=lambdarank"]
    lines += [f"feature_names={' '.join(features)}", ""]
    for number, (splits, thresholds, leaves) in enumerate(trees):
        lines += [f"Tree={number}", f"num_leaves={len(leaves)}", "num_cat=0"]
        lines += [f"split_feature={' '.join(map(str, splits))}", f"split_gain={' '.join('1' for _ in splits)}"]
        lines += [f"threshold={' '.join(map(str, thresholds))}", f"leaf_value={' '.join(map(str, leaves))}"]
        lines += [*([more] if more else []), ""]
    return "\n".join([*lines, "end of trees", tail]).encode()


def xgboost(
    features: list[str], trees: list[tuple[list[int], list[float], list[float]]], **more: Any
) -> dict[str, Any]:
    """XGBoost's document of chains: each split's left child is a leaf; ``more`` goes into each tree."""
    documents = []
    for splits, thresholds, leaves in trees:
        inner, total = len(splits), 2 * len(splits) + 1
        documents.append(
            {
                "left_children": [inner + number for number in range(inner)] + [-1] * (total - inner),
                "right_children": [*range(1, inner), total - 1] + [-1] * (total - inner),
                "split_indices": splits + [0] * (total - inner),
                "split_conditions": thresholds + leaves,
                "loss_changes": [1.0] * inner + [0.0] * (total - inner),
                **more,
            }
        )
    booster = {"name": "gbtree", "model": {"trees": documents}}
    learner = {"feature_names": features, "gradient_booster": booster, "learner_model_param": {"base_score": "0.5"}}
    return {"learner": learner, "version": [3, 0, 0]}


def ubjson(value: Any) -> bytes:
    """A document in UBJSON."""
    if isinstance(value, dict):
        return b"{" + b"".join(_key(key) + ubjson(inner) for key, inner in value.items()) + b"}"
    if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
        return b"[$d#L" + struct.pack(">q", len(value)) + struct.pack(f">{len(value)}f", *value)
    if isinstance(value, list):
        return b"[" + b"".join(ubjson(inner) for inner in value) + b"]"
    if isinstance(value, str):
        return b"S" + _key(value)
    return b"D" + struct.pack(">d", value) if isinstance(value, float) else b"l" + struct.pack(">i", value)


def _key(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text.encode())) + text.encode()


def arrow_beyond_its_buffers() -> bytes:
    """An Arrow file whose texts end two gigabytes behind the file, as its offsets say."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    stream, table = io.BytesIO(), pa.table({"user_id": ["a", "b", "c"]})
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue().replace(struct.pack("<4i", 0, 1, 2, 3), struct.pack("<4i", 0, 1, 2, 0x7FFFFFFF))


class Trap:
    """Runs a command when it is unpickled; here one that leaves a file to be found."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        import os  # noqa: PLC0415 - named in the pickle

        return os.system, (f"touch {self._path}",)


def trapped(path: str) -> bytes:
    """A pickle that would make a file at ``path``."""
    return pickle.dumps(Trap(path))


def pickle_that_is_safetensors() -> bytes:
    """A safetensors file whose first bytes are also a pickle: the header's length is ``(l.`` to a pickle machine.

    A mark, a list made of it, and STOP: 0x2e6c28 as a length of eight bytes, little-endian.
    """
    length = int.from_bytes(b"(l.\0\0\0\0\0", "little")
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    return struct.pack("<Q", length) + header.ljust(length) + b"\1"


def crowded_zip(members: int) -> bytes:
    """An archive of that many empty members: its directory alone would fill the memory of whoever reads it whole."""
    name = b"a%07d.npy"
    local = [struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 12, 0) + name % at for at in range(members)]
    listed = [
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, at * 42) + name % at
        for at in range(members)
    ]
    start, size = 42 * members, 58 * members
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, members, members, size, start)
    end += struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
    most = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return b"".join([*local, *listed, end, struct.pack("<4s2H2H2IH", b"PK\5\6", 0, 0, *most, 0)])


def many_tensors(count: int) -> bytes:
    """A safetensors file whose header names that many tensors."""
    return framed(b"{" + b",".join(b'"%d":0' % at for at in range(count)) + b"}")


def bomb(megabytes: int) -> bytes:
    """A small archive of one member that is all zeros."""
    return zipped({"a.npy": npy(np.zeros(megabytes << 20, dtype="|u1"))})
