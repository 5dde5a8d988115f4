# SPDX-License-Identifier: Apache-2.0
"""How a graph's nodes are connected: the same whatever its values are called, another where one edge moved."""

from __future__ import annotations

import hashlib
from collections import ChainMap, Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NODES = 500_000
_TOLD = 20


@dataclass
class Node:
    """One node: its operator, the names it takes and gives, its constants by tensor, and all else as a digest."""

    operator: str
    takes: list[str] = field(default_factory=list)
    gives: list[str] = field(default_factory=list)
    constants: list[tuple[str, str]] = field(default_factory=list)
    rest: list[tuple[str, str]] = field(default_factory=list)
    graphs: list[tuple[str, Graph]] = field(default_factory=list)


@dataclass
class Graph:
    """Nodes in their order; ``tensors`` names the tensor of each initialiser."""

    nodes: list[Node] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    gives: list[str] = field(default_factory=list)
    tensors: dict[str, str] = field(default_factory=dict)


class _Value(NamedTuple):
    """What a name stands for: a digest of all that it is made by, and a word for people."""

    digest: str
    word: str


def differing(
    old: Mapping[str, Graph], new: Mapping[str, Graph], labels: tuple[Mapping[str, str], Mapping[str, str]]
) -> dict[str, list[str]] | None:
    """The nodes that only one side has, as ``operator(what it takes)``; None where both are connected the same.

    ``labels`` call a tensor the same on both sides, where it only changed its name.
    """
    sides = [_digested(graphs, names) for graphs, names in zip((old, new), labels, strict=True)]
    if sides[0][0] == sides[1][0]:
        return None
    lost, gained = sides[0][1] - sides[1][1], sides[1][1] - sides[0][1]
    return {"old": sorted(lost.elements())[:_TOLD], "new": sorted(gained.elements())[:_TOLD]}


def _digested(graphs: Mapping[str, Graph], labels: Mapping[str, str]) -> tuple[list[str], Counter[str]]:
    """The digests of all nodes and of what each graph gives, and the nodes in words."""
    found: list[str] = []
    told: Counter[str] = Counter()
    for name, graph in sorted(graphs.items()):
        found.append(f"{name}={_graph(graph, ChainMap(), labels, found, told)}")
    return sorted(found), told


def _graph(
    graph: Graph, outer: ChainMap[str, _Value], labels: Mapping[str, str], found: list[str], told: Counter[str]
) -> str:
    known = outer.new_child()
    for name, tensor in graph.tensors.items():
        label = labels.get(tensor, tensor)
        known[name] = _Value(_sha("tensor", label), tensor)
    for at, name in enumerate(name for name in graph.takes if name not in graph.tensors):
        known[name] = _Value(_sha("input", str(at)), f"input {at}")
    for node in graph.nodes:
        taken = [known.get(name, _Value(_sha("nothing", name), name or "nothing")) for name in node.takes]
        inner = [(name, _graph(one, known, labels, found, told)) for name, one in node.graphs]
        constants = [(name, labels.get(tensor, tensor)) for name, tensor in node.constants]
        digest = _sha(
            node.operator, repr([one.digest for one in taken]), repr(sorted(constants)), repr(sorted(node.rest)),
            repr(inner), str(len(node.gives)),
        )  # fmt: skip
        found.append(digest)
        told[_told(node, taken)] += 1
        for at, name in enumerate(node.gives):
            known[name] = _Value(_sha(digest, str(at)), node.operator)
    return _sha(*(known[name].digest if name in known else name for name in graph.gives))


def _told(node: Node, taken: list[_Value]) -> str:
    words = [one.word[:60] for one in taken[:6]] + ["…"] * (len(taken) > 6)  # noqa: PLR2004 - what a line shows
    words += [f"{name}={value[:40]}" for name, value in sorted(node.rest)[:6]]
    return f"{node.operator[:60]}({', '.join(words)})"


def _sha(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
