# SPDX-License-Identifier: Apache-2.0
"""ONNX: initialisers and constants as tensors where they lie, and the operators of the graph (onnx.proto3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from diffing.artifacts.inside.polyglots import refuse_polyglot
from diffing.artifacts.inside.protobuf import Field, Message, Window
from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.tensors import NUMPY, WIDTH, Tensor, tensor
from diffing.artifacts.inside.words import MAX_TENSORS, RefusedError, checked_name, checked_shape, elements

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_MAX_BYTES = 2 << 30  # what protobuf itself can hold
_MAX_DEPTH = 8
_DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
    13: "U64", 14: "C64", 15: "C128", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2",
}  # fmt: skip
# Fields of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto.
_GRAPH, _FUNCTIONS = 7, 25
_NODE, _INITIALIZER, _SPARSE, _FUNCTION_NODE = 1, 5, 15, 7
_OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 2, 4, 5, 7
_ATTRIBUTE_NAME, _FLOAT, _INTEGER, _TENSOR, _SUBGRAPH, _SUBGRAPHS, _FLOATS, _INTEGERS = 1, 2, 3, 5, 6, 11, 7, 8
_DIMS, _DTYPE, _FLOAT_DATA, _INT32_DATA, _INT64_DATA, _NAME, _RAW, _DOUBLE_DATA, _UINT64_DATA = (
    1, 2, 4, 5, 7, 8, 9, 10, 11,
)  # fmt: skip
_EXTERNAL, _LOCATION = 13, 14


class Model:
    """What was found: tensors by name, and how often each operator occurs."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.tensors: dict[str, Tensor] = {}
        self.operators: Counter[str] = Counter()

    def add(self, found: Tensor) -> None:
        """Take a tensor; two of one name are refused."""
        if found.name in self.tensors:
            raise RefusedError(f"two tensors are called {found.name!r}")
        if len(self.tensors) >= MAX_TENSORS:
            raise RefusedError(f"more than {MAX_TENSORS:,} tensors")
        self.tensors[found.name] = found


def read(file: File) -> tuple[list[Tensor], dict[str, int]]:
    """Tensors by name, and operators with their counts.

    Raises:
        RefusedError: no such model, one with data outside the file, or one that does not fit together.
    """
    if not 0 < file.size <= _MAX_BYTES:
        raise RefusedError(f"{file.size:,} bytes: no ONNX model has so many")
    refuse_polyglot(file)
    model = Model(file)
    graphs = 0
    top = Message(Window(file), 0, file.size)
    for part in top.fields():
        if part.number == _GRAPH:
            graphs += 1
            _graph(model, top.message(part), "", 0)
        elif part.number == _FUNCTIONS:
            _graph(model, top.message(part), "function/", 0, nodes=_FUNCTION_NODE)
    if graphs != 1:
        raise RefusedError(f"{graphs} graphs where a model has one")
    return [model.tensors[name] for name in sorted(model.tensors)], dict(sorted(model.operators.items()))


def _graph(model: Model, graph: Message, prefix: str, depth: int, *, nodes: int = _NODE) -> None:
    if depth > _MAX_DEPTH:
        raise RefusedError(f"graphs nested deeper than {_MAX_DEPTH}")
    for part in graph.fields():
        if part.number == nodes:
            _node(model, graph.message(part), prefix, depth)
        elif part.number == _INITIALIZER and nodes == _NODE:
            _tensor(model, graph.message(part), prefix, None)
        elif part.number == _SPARSE and nodes == _NODE:
            raise RefusedError("a sparse initialiser: not read")


def _node(model: Model, node: Message, prefix: str, depth: int) -> None:
    operator, domain, output = "", "", ""
    attributes: list[Field] = []
    for part in node.fields():
        if part.number == _OP_TYPE:
            operator = checked_name(node.text(part))
        elif part.number == _DOMAIN:
            domain = node.text(part)
        elif part.number == _OUTPUT and not output:
            output = node.text(part)
        elif part.number == _ATTRIBUTE:
            attributes.append(part)
    model.operators[f"{checked_name(domain)}.{operator}" if domain else operator] += 1
    for part in attributes:
        _attribute(model, node.message(part), f"{prefix}{operator}:{output or len(model.tensors)}", depth)


def _attribute(model: Model, attribute: Message, owner: str, depth: int) -> None:
    """Constants of a node, single numbers and lists too, as tensors named after its first output."""
    name = next((attribute.text(field) for field in attribute.fields() if field.number == _ATTRIBUTE_NAME), "")
    floats, integers = bytearray(), bytearray()
    for part in attribute.fields():
        if part.number == _TENSOR:
            _tensor(model, attribute.message(part), "", f"{owner}.{name}")
        elif part.number in (_SUBGRAPH, _SUBGRAPHS):
            _graph(model, attribute.message(part), f"{owner}/", depth + 1)
        elif part.number in (_FLOAT, _FLOATS):
            floats += attribute.data.range(part.start, part.end)
        elif part.number in (_INTEGER, _INTEGERS):
            integers += np.array(attribute.numbers(part), dtype="<u8").tobytes()
    for dtype, width, raw in (("F32", 4, floats), ("I64", 8, integers)):
        if raw and len(raw) % width == 0:
            model.add(keep(checked_name(f"{owner}.{name}"), dtype, (len(raw) // width,), bytes(raw)))


@dataclass
class _Stored:
    """A TensorProto as it lies there."""

    name: str = ""
    kind: int = 0
    dims: list[int] = field(default_factory=list)
    raw: Field | None = None
    packed: bytearray = field(default_factory=bytearray)
    varints: list[int] = field(default_factory=list)

    def take(self, message: Message, part: Field) -> None:
        if part.number == _DIMS:
            self.dims += message.numbers(part)
        elif part.number == _DTYPE:
            self.kind = part.value
        elif part.number == _NAME:
            self.name = message.text(part)
        elif part.number == _RAW:
            self.raw = part
        elif part.number in (_FLOAT_DATA, _DOUBLE_DATA):
            self.packed += message.data.range(part.start, part.end)
        elif part.number in (_INT32_DATA, _INT64_DATA, _UINT64_DATA):
            self.varints += message.numbers(part)
        elif part.number == _EXTERNAL or (part.number == _LOCATION and part.value):
            raise RefusedError(f"tensor {self.name[:80]!a} keeps its values in another file: put them into the model")


def _tensor(model: Model, message: Message, prefix: str, name: str | None) -> None:
    stored = _Stored()
    for part in message.fields():
        stored.take(message, part)
    name = checked_name(name or f"{prefix}{stored.name}")
    if stored.kind not in _DTYPES:
        raise RefusedError(f"tensor {name!r} has the type {stored.kind}, which is not read")
    shape, dtype, raw = checked_shape(stored.dims), _DTYPES[stored.kind], stored.raw
    if raw is not None:
        model.add(tensor(name, dtype, shape, model.file, raw.start, raw.end - raw.start))
        return
    data = bytes(stored.packed) or _listed(dtype, stored.varints)
    if len(data) != elements(shape) * WIDTH[dtype]:
        raise RefusedError(f"tensor {name!r}: {len(data):,} bytes of values do not fill its shape {list(shape)}")
    model.add(keep(name, dtype, shape, data))


def _listed(dtype: str, varints: list[int]) -> bytes:
    """Values that stand as a list of numbers; those of floats of 8 and 16 bits are their bits."""
    width = {"F16": "<u2", "BF16": "<u2", "F8_E4M3": "|u1", "F8_E5M2": "|u1"}.get(dtype) or NUMPY[dtype]
    return np.array(varints, dtype="<u8").astype(width.replace("f", "u")).tobytes()
