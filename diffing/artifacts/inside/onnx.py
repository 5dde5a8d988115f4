# SPDX-License-Identifier: Apache-2.0
"""ONNX: initialisers and constants as tensors where they lie, the operators, and their wiring (onnx.proto3)."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from diffing.artifacts.inside.polyglots import refuse_polyglot
from diffing.artifacts.inside.protobuf import Field, Message, Window
from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.tensors import NUMPY, WIDTH, Tensor, tensor
from diffing.artifacts.inside.wiring import MAX_NODES, Graph, Node
from diffing.artifacts.inside.words import MAX_TENSORS, RefusedError, checked_name, checked_shape, elements

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_MAX_BYTES = 2 << 30  # what protobuf itself can hold
_MAX_DEPTH = 8
_DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
    13: "U64", 14: "C64", 15: "C128", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2",
}  # fmt: skip
# Fields of ModelProto, GraphProto, FunctionProto, NodeProto, AttributeProto, TensorProto.
_GRAPH, _FUNCTIONS, _OPSETS, _METADATA = 7, 25, 8, 14
_NODE, _INITIALIZER, _SPARSE, _TAKES, _GIVES, _VALUE_NAME = 1, 5, 15, 11, 12, 1
_FUNCTION_NAME, _FUNCTION_TAKES, _FUNCTION_GIVES, _FUNCTION_NODE, _FUNCTION_DOMAIN = 1, 4, 5, 7, 10
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN, _OVERLOAD = 1, 2, 4, 5, 7, 8
_ATTRIBUTE_NAME, _FLOAT, _INTEGER, _TENSOR, _SUBGRAPH, _SUBGRAPHS, _FLOATS, _INTEGERS = 1, 2, 3, 5, 6, 11, 7, 8
_WORD, _FOR_PEOPLE = 4, (1, 13, 20)  # an attribute's text; its name, its documentation and its type
_DIMS, _DTYPE, _FLOAT_DATA, _INT32_DATA, _INT64_DATA, _NAME, _RAW, _DOUBLE_DATA, _UINT64_DATA = (
    1, 2, 4, 5, 7, 8, 9, 10, 11,
)  # fmt: skip
_EXTERNAL, _LOCATION = 13, 14
_SHORT = 40  # letters of a word that is told as it is


class Model:
    """What was found: tensors by name, how often each operator occurs, and how all are connected."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.tensors: dict[str, Tensor] = {}
        self.operators: Counter[str] = Counter()
        self.graphs: dict[str, Graph] = {}
        self.nodes = 0
        self.words: dict[str, str] = {}

    def add(self, found: Tensor) -> None:
        """Take a tensor; two of one name are refused."""
        if found.name in self.tensors:
            raise RefusedError(f"two tensors are called {found.name!r}")
        if len(self.tensors) >= MAX_TENSORS:
            raise RefusedError(f"more than {MAX_TENSORS:,} tensors")
        self.tensors[found.name] = found


def read(file: File) -> Model:
    """Tensors, operators with their counts, graphs, and the versions of operators that are meant.

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
            model.graphs[""] = _graph(model, top.message(part), "", 0)
        elif part.number == _FUNCTIONS:
            _function(model, top.message(part))
        elif part.number in (_OPSETS, _METADATA):
            _word(model, top.message(part), "opset" if part.number == _OPSETS else "metadata")
    if graphs != 1:
        raise RefusedError(f"{graphs} graphs where a model has one")
    return model


def _word(model: Model, message: Message, what: str) -> None:
    """The version of a set of operators, or a pair of metadata."""
    fields = {part.number: part for part in message.fields()}
    name, value = fields.get(1), fields.get(2)
    key = f"{what} {message.text(name) if name else ''}".rstrip()
    model.words[key] = "" if value is None else str(value.value) if what == "opset" else message.text(value)
    if len(model.words) > MAX_TENSORS:
        raise RefusedError(f"more than {MAX_TENSORS:,} words of metadata")


def _graph(model: Model, message: Message, prefix: str, depth: int) -> Graph:
    if depth > _MAX_DEPTH:
        raise RefusedError(f"graphs nested deeper than {_MAX_DEPTH}")
    graph = Graph()
    for part in message.fields():
        if part.number == _NODE:
            graph.nodes.append(_node(model, message.message(part), prefix, depth))
        elif part.number == _INITIALIZER:
            name = _tensor(model, message.message(part), prefix, None)
            graph.tensors[name.removeprefix(prefix)] = name
        elif part.number == _SPARSE:
            raise RefusedError("a sparse initialiser: not read")
        elif part.number in (_TAKES, _GIVES):
            value = message.message(part)
            name = next((value.text(one) for one in value.fields() if one.number == _VALUE_NAME), "")
            (graph.takes if part.number == _TAKES else graph.gives).append(name)
    return graph


def _function(model: Model, message: Message) -> None:
    name, domain, graph = "", "", Graph()
    for part in message.fields():
        if part.number == _FUNCTION_NAME:
            name = message.text(part)
        elif part.number == _FUNCTION_DOMAIN:
            domain = message.text(part)
        elif part.number in (_FUNCTION_TAKES, _FUNCTION_GIVES):
            (graph.takes if part.number == _FUNCTION_TAKES else graph.gives).append(message.text(part))
        elif part.number == _FUNCTION_NODE:
            graph.nodes.append(_node(model, message.message(part), "function/", 0))
    called = f"function {domain}.{name}"
    if called in model.graphs:
        raise RefusedError(f"two functions are called {ascii(name)[:80]}")
    model.graphs[called] = graph


def _node(model: Model, message: Message, prefix: str, depth: int) -> Node:
    node, domain, overload = Node(""), "", ""
    attributes: list[Field] = []
    for part in message.fields():
        if part.number == _OP_TYPE:
            node.operator = checked_name(message.text(part))
        elif part.number == _DOMAIN:
            domain = message.text(part)
        elif part.number == _OVERLOAD:
            overload = message.text(part)
        elif part.number == _INPUT:
            node.takes.append(message.text(part))
        elif part.number == _OUTPUT:
            node.gives.append(message.text(part))
        elif part.number == _ATTRIBUTE:
            attributes.append(part)
    output = next((name for name in node.gives if name), "")
    owner = f"{prefix}{node.operator}:{output or len(model.tensors)}"
    for part in attributes:
        _attribute(model, message.message(part), node, owner, depth)
    node.operator = f"{checked_name(domain)}.{node.operator}" if domain else node.operator
    node.rest += [("overload", overload)] if overload else []
    model.operators[node.operator] += 1
    model.nodes += 1
    if model.nodes > MAX_NODES:
        raise RefusedError(f"more than {MAX_NODES:,} nodes")
    return node


def _attribute(model: Model, attribute: Message, node: Node, owner: str, depth: int) -> None:
    """Constants of a node, single numbers and lists too, as tensors named after its first output; words as they are."""
    name = next((attribute.text(field) for field in attribute.fields() if field.number == _ATTRIBUTE_NAME), "")
    floats, integers = bytearray(), bytearray()
    for part in attribute.fields():
        if part.number == _TENSOR:
            node.constants.append((name, _tensor(model, attribute.message(part), "", f"{owner}.{name}")))
        elif part.number in (_SUBGRAPH, _SUBGRAPHS):
            node.graphs.append((name, _graph(model, attribute.message(part), f"{owner}/", depth + 1)))
        elif part.number in (_FLOAT, _FLOATS):
            floats += attribute.data.range(part.start, part.end)
        elif part.number in (_INTEGER, _INTEGERS):
            integers += np.array(attribute.numbers(part), dtype="<u8").tobytes()
        elif part.number not in _FOR_PEOPLE:
            node.rest.append((name, _said(attribute, part)))
    for dtype, width, raw in (("F32", 4, floats), ("I64", 8, integers)):
        if raw and len(raw) % width == 0:
            model.add(keep(checked_name(f"{owner}.{name}"), dtype, (len(raw) // width,), bytes(raw)))
            node.constants.append((name, f"{owner}.{name}"))


def _said(attribute: Message, part: Field) -> str:
    """An attribute's text, if it is short and printable; of all else the digest."""
    data = attribute.data.range(part.start, part.end)
    text = data.decode("ascii", "replace")
    if part.number == _WORD and len(text) <= _SHORT and text.isprintable() and text.isascii():
        return text
    return f"sha256 {hashlib.sha256(data or str(part.value).encode()).hexdigest()[:16]}"


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


def _tensor(model: Model, message: Message, prefix: str, name: str | None) -> str:
    """Take a tensor; returns its name."""
    stored = _Stored()
    for part in message.fields():
        stored.take(message, part)
    name = checked_name(name or f"{prefix}{stored.name}")
    if stored.kind not in _DTYPES:
        raise RefusedError(f"tensor {name!r} has the type {stored.kind}, which is not read")
    shape, dtype, raw = checked_shape(stored.dims), _DTYPES[stored.kind], stored.raw
    if raw is not None:
        model.add(tensor(name, dtype, shape, model.file, raw.start, raw.end - raw.start))
        return name
    data = bytes(stored.packed) or _listed(dtype, stored.varints)
    if len(data) != elements(shape) * WIDTH[dtype]:
        raise RefusedError(f"tensor {name!r}: {len(data):,} bytes of values do not fill its shape {list(shape)}")
    model.add(keep(name, dtype, shape, data))
    return name


def _listed(dtype: str, varints: list[int]) -> bytes:
    """Values that stand as a list of numbers; those of floats of 8 and 16 bits are their bits."""
    width = {"F16": "<u2", "BF16": "<u2", "F8_E4M3": "|u1", "F8_E5M2": "|u1"}.get(dtype) or NUMPY[dtype]
    return np.array(varints, dtype="<u8").astype(width.replace("f", "u")).tobytes()
