# SPDX-License-Identifier: Apache-2.0
"""Hostile model files: each is refused with one line, in its own process, and nothing in it runs."""

from __future__ import annotations

import json
import pickle
import struct
import tarfile
from typing import TYPE_CHECKING

import building
import numpy as np
import pytest

from diffing import model_diff
from diffing.artifacts.inside.formats import Side, open_side
from diffing.artifacts.inside.words import File
from evidence import InputError, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import ModelDiff

ONE = np.arange(6, dtype="<f4").reshape(3, 2)
GOOD = building.safetensors({"a": ONE})


SHORT = building.field(1, 9) + building.field(2, 1) + building.field(8, "a") + building.field(9, b"abc")


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def header(**entries: object) -> bytes:
    return json.dumps(entries).encode()


SAFETENSORS = {
    "polyglot": (building.pickle_that_is_safetensors(), "also a valid pickle"),
    "also a zip": (
        building.safetensors({"a": ("U8", [len(building.zipped({"x": b"y"}))], building.zipped({"x": b"y"}))}),
        "also a ZIP archive",
    ),
    "duplicate key": (
        building.framed(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'),
        "duplicate key 'a'",
    ),
    "overlap": (building.framed(header(a=entry(0, 8, [2]), b=entry(4, 12, [2])), bytes(12)), "overlap"),
    "hole": (building.framed(header(a=entry(0, 4, [1]), b=entry(8, 12, [1])), bytes(12)), "belong to no tensor"),
    "tail": (building.framed(header(a=entry(0, 4, [1])), bytes(9)), "5 bytes behind the last tensor"),
    "beyond": (building.framed(header(a=entry(0, 400, [100])), bytes(4)), "beyond the end"),
    "overflow": (building.framed(header(a=entry(0, 0, [1 << 40, 1 << 40]))), "overflows"),
    "wrong length": (building.framed(header(a=entry(0, 4, [7])), bytes(4)), "4 bytes for 28 bytes of F32"),
    "long header": (struct.pack("<Q", 1 << 40) + b"{}", "a header of 1,099,511,627,776 bytes"),
    "no header": (b"\1\2\3", "cut off"),
    "control characters": (building.framed(header(**{"a\x1b[2J": entry(0, 0, [0])})), "control"),
    "unknown dtype": (building.framed(header(a=entry(0, 4, [1], "Q1"))), "unknown dtype"),
    "negative": (building.framed(header(a=entry(-4, 0, [1])), bytes(4)), "no range"),
    "more keys": (building.framed(header(a={**entry(0, 0, [0]), "x": 1})), "not just dtype"),
    "deep": (building.framed(b'{"a":' + b"[" * 100_000), "nested too deeply"),
    "many": (
        building.framed(b"{" + b",".join(b'"%d":0' % number for number in range(100_001)) + b"}"),
        "more than 100,000 tensors",
    ),
    "empty": (b"", "an empty file"),
}

OTHERS = {
    "object array": ("a.npy", building.npy(np.array([{}], dtype=object)), "would run a pickle"),
    "object in npz": ("a.npz", building.npz({"a": np.array([{}], dtype=object)}), "would run a pickle"),
    "evaluated header": (
        "a.npy",
        b"\x93NUMPY\1\0" + struct.pack("<H", 30) + b"__import__('os').system('id')\n",
        "no plain description",
    ),
    "cut npy": ("a.npy", building.npy(ONE)[:-3], "bytes for"),
    "big-endian": ("a.npy", building.npy(ONE.astype(">f4")), "big-endian"),
    "zip bomb": ("a.zip", building.bomb(40), "swells"),
    "npz bomb": ("a.npz", building.bomb(40), "swells"),
    "dots": ("a.zip", building.zipped({"../a.npy": building.npy(ONE)}), "leads out"),
    "absolute": ("a.zip", building.zipped({"/etc/a.npy": building.npy(ONE)}), "leads out"),
    "link in zip": ("a.zip", building.zipped({"a.npy": b"/etc/passwd"}, mode=0o120777), "symbolic link"),
    "link in tar": ("a.tar", building.tarred({"a.npy": b""}, kind=tarfile.SYMTYPE, target="/etc/passwd"), "a link"),
    "dots in tar": ("a.tar", building.tarred({"../../a.npy": building.npy(ONE)}), "leads out"),
    "cut zip": ("a.zip", building.zipped({"a.npy": building.npy(ONE)})[:-30], "no ZIP archive"),
    "prefixed zip": ("a.npz", b"#!/bin/sh\n" + building.npz({"a": ONE}), "before the first member"),
    "no array in npz": ("a.npz", building.zipped({"a.txt": b"x"}), "no array"),
    "nested": ("a.zip", building.zipped({"b.zip": building.zipped({"a.npy": building.npy(ONE)})}), "within an archive"),
    "gguf count": ("a.gguf", building.gguf([], count=1 << 60), "tensors and 0 metadata entries"),
    "gguf metadata": ("a.gguf", building.gguf([("a", [1], 0, bytes(4))], entries=9), "a name that is empty"),
    "gguf beyond": ("a.gguf", building.gguf([("a", [4], 0, bytes(16))], offset=1 << 20), "beyond the end"),
    "gguf overflow": ("a.gguf", building.gguf([("a", [1 << 40, 1 << 40], 0, b"")]), "overflows"),
    "gguf type": ("a.gguf", building.gguf([("a", [4], 99, bytes(16))]), "unknown type 99"),
    "gguf twice": ("a.gguf", building.gguf([("a", [1], 0, bytes(4)), ("a", [1], 0, bytes(4))]), "the same name"),
    "onnx cut": ("a.onnx", building.onnx([building.onnx_tensor("a", ONE)], ["Add"])[:-5], "cut off"),
    "onnx external": (
        "a.onnx",
        building.onnx(
            [building.field(1, 3) + building.field(2, 1) + building.field(13, building.field(1, "location"))], []
        ),
        "another file",
    ),
    "onnx two graphs": ("a.onnx", building.onnx([], ["Add"]) + building.field(7, b""), "2 graphs"),
    "onnx short": (
        "a.onnx",
        building.onnx([SHORT], []),
        "3 bytes for 36",
    ),
    "lightgbm cut": ("a.lgb", building.lightgbm(["x"], [([0], [1.0], [0.0, 1.0])])[:-15], "end of trees"),
    "lightgbm leaves": ("a.lgb", building.lightgbm(["x"], [([0], [1.0], [0.0])]), "1 leaves"),
    "lightgbm children": (
        "a.lgb", building.lightgbm(["x"], [([0], [1.0], [0.0, 1.0])], "left_child=-1 -2"), "other than its 1 splits",
    ),
    "lightgbm categories": (
        "a.lgb",
        building.lightgbm(
            ["x"], [([0], [0.0], [0.0, 1.0])], "decision_type=1\ncat_boundaries=0 9\ncat_threshold=1"
        ),
        "categories that there are not",
    ),
    "lightgbm linear": (
        "a.lgb", building.lightgbm(["x"], [([0], [1.0], [0.0, 1.0])], "is_linear=1"), "a linear model in each leaf",
    ),
    "xgboost vectors": (
        "a.ubj",
        building.ubjson(building.xgboost(["x"], [([0], [1.0], [0.0, 1.0])], tree_param={"size_leaf_vector": "3"})),
        "a vector in each leaf",
    ),
    "lightgbm feature": ("a.lgb", building.lightgbm(["x"], [([5], [1.0], [0.0, 1.0])]), "a feature that there is not"),
    "xgboost": ("a.ubj", building.ubjson({"learner": 3}), "no XGBoost model"),
    "ubjson length": ("a.ubj", b"{L" + struct.pack(">q", 1 << 60), "beyond the end"),
    "ubjson twice": ("a.ubj", b"{i\1aZi\1aZ}", "duplicate key"),
    "parquet": ("a.parquet", b"PAR1" + bytes(40) + b"PAR1", "no table"),
    "arrow": ("a.arrow", b"ARROW1\0\0" + bytes(40), "no table"),
    "arrow beyond": ("a.arrow", building.arrow_beyond_its_buffers(), "no table that can be read"),
    "skops": (
        "a.skops",
        building.zipped({"schema.json": b'{"__class__":"system","__module__":"os","__loader__":"ObjectNode"}'}),
        "os.system is not on the list",
    ),
    "skops function": (
        "a.skops",
        building.zipped({"schema.json": b'{"__class__":"x","__module__":"numpy","__loader__":"FunctionNode"}'}),
        "names code",
    ),
    "pointer": ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "LFS pointer"),
    "zero rows": ("a.npy", building.npy(np.zeros((0, 4), "<f4")), "'array' holds no values: its shape is [0, 4]"),
    "an empty tensor": ("a.npz", building.zipped({"w.npy": building.npy(np.zeros(0, "<f4"))}), "'w' holds no values"),
    "empty safetensors": (
        "a.safetensors", building.safetensors({"a": ONE, "b": np.zeros((3, 0), "<f4")}), "'b' holds no values",
    ),
    "zip in zip": ("a.zip", building.zipped({"b.zip": building.zipped({"c.npy": building.npy(ONE)})}), "'b.zip'"),
    "tar in zip": ("a.zip", building.zipped({"m/b.tar": bytes(1024)}), "archive within an archive: 'b.tar'"),
    "zip in tar": ("a.tar", building.tarred({"b.zip": building.zipped({"c.npy": building.npy(ONE)})}), "within"),
    "packed in zip": ("a.zip", building.zipped({"b.tar.gz": b"\x1f\x8b\0\0"}), "a packed file: hand it in unpacked"),
    "a crowd in a zip": ("a.npz", building.crowded_zip(200_000), "a directory of 11,600,000 bytes, for more than"),
    "packed": ("a.npy.gz", b"\x1f\x8b\0\0", "a packed file: hand it in unpacked, or as ZIP or TAR"),
    "an empty tar": ("a.tar", bytes(10240), "no TAR archive that can be read: it is empty"),
    "a shard short": (
        "a.zip", building.zipped({"m-00001-of-00002.safetensors": GOOD}), "'m-00002-of-00002.safetensors' is missing",
    ),
    "unknown": ("a.weights", b"\0\1\2", "no known format"),
}  # fmt: skip


def opened(folder: Path, name: str, data: bytes) -> Side:
    """The side that one file makes, read by the same parsers in this process: a sandbox for each would take long."""
    (folder / name).write_bytes(data)
    return open_side([File(name, str(folder / name))])


@pytest.mark.parametrize("what", SAFETENSORS)
def test_a_hostile_safetensors_file_is_refused_with_one_line(what: str, tmp_path: Path) -> None:
    data, words = SAFETENSORS[what]
    refused(opened(tmp_path, "model.safetensors", data), words)


@pytest.mark.parametrize("what", OTHERS)
def test_a_hostile_file_is_refused_with_one_line(what: str, tmp_path: Path) -> None:
    name, data, words = OTHERS[what]
    refused(opened(tmp_path, name, data), words)


def refused(side: Side, words: str) -> None:
    (said,) = [*side.refused, *side.opaque]
    assert words in said["reason"]
    assert len(said["reason"].splitlines()) == 1
    assert side.tensors == {}


@pytest.mark.sandbox
@pytest.mark.parametrize("what", ["zip bomb", "evaluated header", "pointer"])
def test_what_is_refused_blocks_the_sign_off(what: str, between: Callable[..., ModelDiff]) -> None:
    name, data, words = OTHERS[what]
    result = between(name, data, data)
    assert result.tensors == ()
    assert words in result.refused[0].reason
    assert result.verdict is Verdict.FAIL
    assert {(finding.rule, finding.severity) for finding in result.findings} == {("opaque-artifact", Severity.HIGH)}


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "weights.dat"])
def test_a_pickle_is_listed_and_never_loaded(name: str, tmp_path: Path, between: Callable[..., ModelDiff]) -> None:
    trace = tmp_path / "ran"
    data = building.trapped(str(trace))
    result = between(name, pickle.dumps([1.0]), data)
    (finding,) = result.findings
    assert (finding.rule, finding.severity) == ("unsafe-artifact", Severity.HIGH)
    assert finding.evidence["imports"] == ["posix.system"]
    assert "REDUCE" in finding.evidence["opcodes"]
    assert set(finding.evidence["scanners"]) == {"picklescan", "fickling"}
    assert "posix.system" in finding.evidence["scanners"]["picklescan"]
    assert "malicious" in finding.evidence["scanners"]["fickling"]
    assert [one.path for one in result.refused] == [name]
    assert not trace.exists()
    assert trace.parent.is_dir()


def test_a_header_of_ten_million_tensors_is_refused_by_its_length(tmp_path: Path) -> None:
    refused(opened(tmp_path, "m.safetensors", building.many_tensors(10_000_000)), "a header of 118,888,891 bytes")


def test_the_trap_of_these_tests_would_have_sprung(tmp_path: Path) -> None:
    pickle.loads(building.trapped(str(tmp_path / "ran")))  # noqa: S301 - our own, to see that it is one
    assert (tmp_path / "ran").exists()


@pytest.mark.sandbox
def test_a_torch_archive_is_listed_through_its_pickle(tmp_path: Path, between: Callable[..., ModelDiff]) -> None:
    data = building.zipped({"archive/data.pkl": building.trapped(str(tmp_path / "ran"))}, packed=False)
    result = between("model.pt", data, data)
    assert result.findings[0].evidence["imports"] == ["posix.system"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.sandbox
def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "one.safetensors").write_bytes(GOOD)
        (tmp_path / side / "two.safetensors").write_bytes(building.safetensors({"b": ONE}))
    (tmp_path / "head" / "two.safetensors").write_bytes(GOOD[:-1])
    result = model_diff(tmp_path / "base", tmp_path / "head")
    assert [one.path for one in result.refused] == ["two.safetensors"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("link.safetensors", "symbolic link"),
        ("none.safetensors", "no such file"),
        ("folder", "folder"),
        ("b\n.npy", "control"),
    ],
)
def test_what_is_no_plain_file_is_refused_before_anything_starts(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(GOOD)
    (tmp_path / "b\n.npy").write_bytes(building.npy(ONE))
    (tmp_path / "link.safetensors").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=words) as told:
        model_diff(tmp_path / "a.safetensors", tmp_path / name)
    assert len(str(told.value).splitlines()) == 1


def test_a_link_inside_a_folder_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    for side in ("base", "head", "empty"):
        (tmp_path / side).mkdir()
    (tmp_path / "base" / "a.npy").write_bytes(building.npy(ONE))
    with pytest.raises(InputError, match="an empty folder"):
        model_diff(tmp_path / "base", tmp_path / "empty")
    (tmp_path / "head" / "a.npy").symlink_to(tmp_path / "base" / "a.npy")
    with pytest.raises(InputError, match="symbolic link"):
        model_diff(tmp_path / "base", tmp_path / "head")


@pytest.mark.sandbox
def test_different_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(GOOD)
    (tmp_path / "a.npy").write_bytes(building.npy(ONE))
    with pytest.raises(InputError, match="base is safetensors and head npy: different formats"):
        model_diff(tmp_path / "a.safetensors", tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ([1], "model-00002-of-00003.safetensors"),
        ([1, 3], "model-00002-of-00003.safetensors"),
        ([2, 3], "model-00001-of-00003.safetensors"),
    ],
)
def test_a_folder_that_lacks_a_shard_is_refused_by_its_name(tmp_path: Path, there: list[int], lacking: str) -> None:
    for number in there:
        (tmp_path / f"model-{number:05}-of-00003.safetensors").write_bytes(GOOD)
    with pytest.raises(InputError, match=f"the shard '{lacking}' is missing"):
        model_diff(tmp_path, tmp_path)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("name", "data"),
    [("a.safetensors", building.framed(b"{}")), ("a.npz", building.zipped({})), ("a.zip", building.zipped({}))],
)
def test_a_model_without_tensors_is_refused(between: Callable[..., ModelDiff], name: str, data: bytes) -> None:
    result = between(name, data, data)
    assert [(one.path, one.reason) for one in result.refused] == [(name, "no tensor is in it")]


def test_an_archive_of_arrays_in_another_is_opened_within_limits(tmp_path: Path) -> None:
    arrays = building.zipped({"w.npy": building.npy(ONE)})
    for name, packed in (("a.zip", building.zipped({"m.npz": arrays})), ("a.tar", building.tarred({"m.npz": arrays}))):
        side = opened(tmp_path, name, packed)
        assert (list(side.tensors), side.refused) == (["w"], [])


@pytest.mark.sandbox
def test_missing_and_misplaced_shards_are_refused(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode()
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "one.safetensors").write_bytes(GOOD)
        (tmp_path / side / "model.safetensors.index.json").write_bytes(index)
    assert "'two.safetensors' is missing" in model_diff(tmp_path / "base", tmp_path / "head").refused[0].reason
    for side in ("base", "head"):
        (tmp_path / side / "two.safetensors").write_bytes(building.safetensors({"c": ONE}))
    assert "not where the index says" in model_diff(tmp_path / "base", tmp_path / "head").refused[0].reason
