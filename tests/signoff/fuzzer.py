# SPDX-License-Identifier: Apache-2.0
"""A fuzzer of every parser of `signoff`, and of the gate against the verifier that stands alone.

It changes documents that our own code made: bytes, words and lines of any; of JSON what stands where, also of the
documents inside, which lie there in base64 and are signed anew by the keys that the tests know. Whatever comes of it,

- a parser reads it or raises a `CountersignError`, twice the same, and within seconds of processor time;
- what is read is written back as it was, where a document has one spelling, and otherwise so that it is read again;
- of a bundle, gate and verifier refuse the same, at the same step.

The same seed makes the same cases. ``benchmarks/fuzzing_signoff.py`` runs it for as long as it is told to.
"""

from __future__ import annotations

import base64
import copy
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alike import refused_at
from parsers import ALL, READERS, VECTORS
from world import private_key, standalone

from evidence import CountersignError, canonical
from signoff import Envelope, sign_envelope, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from parsers import Reader

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SLOWEST = 5.0  # seconds of processor time for one document
SIGNERS = (1, 2, 3, 200, 210)  # people, the service, the lane
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 53, (1 << 53) - 1, 10**30, 1.5, "", " ", "a" * 5000, "\u202e", "\ud800", "\x00", "é",
    "sha256:" + "0" * 64, "0" * 64, "0" * 40, "2026-11-24T12:00:00Z", "2026-02-30T12:00:00Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "AAAA", "AAA=", "AAB=", [], {}, [[]], [None], {"": None}, "reviewer", "REJECTED", "../x",
)  # fmt: skip
PIECES = (
    b"", b"\0", b"\n", b"\n\n", b" ", b"+", b"=", b"/", b"\xff", b"\xe2\x80\x94 ", b"0", b"-", b"999999999999999999999",
    b'"', b"{", b"]", b"\\u0000", b"old ", b"index ", b"quorum none\n", b"(", b'"**"', b"not ", b"1e9", b"#", b"[x]\n",
)  # fmt: skip


@dataclass
class Fuzzer:
    """Cases out of a seed; how many of them were accepted, and what took longest."""

    seed: int
    tried: int = 0
    accepted: int = 0
    slowest: float = 0.0
    steps: dict[int | None, int] = field(default_factory=dict)  # of bundles, where both refused

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - cases that come again, not secrets

    def parsers(self, times: int, readers: Mapping[str, Reader] = READERS) -> None:
        """Each parser on so many documents."""
        for name, reader in readers.items():
            for _ in range(times):
                self.case(name, reader, self.changed(self.random.choice(reader.seeds)))

    def case(self, name: str, reader: Reader, data: bytes) -> None:
        started = time.process_time()
        one, other = (self._read(reader, data) for _ in range(2))
        took = time.process_time() - started
        self.tried, self.slowest = self.tried + 1, max(self.slowest, took)
        where = f"seed {self.seed}, case {self.tried}, {name}: {data[:2000]!r}"
        assert took < SLOWEST, f"{took:.1f} s: {where}"
        assert isinstance(one, _Refused) == isinstance(other, _Refused), f"read once and refused once: {where}"
        if one is None or isinstance(one, _Refused):
            assert one == other, f"refused in two ways: {where}"
            return
        self.accepted += 1
        if reader.write is not None:
            written = reader.write(one)
            assert written == reader.write(other), f"read in two ways: {where}"
            assert written == data or reader.spellings > 1, f"accepted in another spelling: {where}"
            assert reader.write(reader.read(written)) == written, f"not read again: {where}"

    @staticmethod
    def _read(reader: Reader, data: bytes) -> Any:
        try:
            return reader.read(data)
        except CountersignError as error:
            return _Refused(type(error).__name__)

    def verifiers(self, folder: Path, times: int) -> None:
        """Gate and verifier on so many bundles, each with something changed in it."""
        for _ in range(times):
            name = self.random.choice(ALL)
            document = json.loads((VECTORS / name / "bundle.json").read_bytes())
            for _ in range(self.random.randint(1, 2)):
                self.tree(document)
            self.alike(folder, name, spelled(document))

    def alike(self, folder: Path, name: str, bundle: bytes) -> None:
        path = folder / "bundle.json"
        path.write_bytes(bundle)
        roots, policy = (VECTORS / name / one for one in ("roots.json", "policy.toml"))
        ours = refused_at(verify(path, roots, NOW, policy))
        steps = standalone().verify(bundle, roots.read_bytes(), policy.read_bytes(), None, NOW)
        theirs = next((number for number, _, ok, _ in steps if ok is False), None)
        self.tried += 1
        self.steps[ours] = self.steps.get(ours, 0) + 1
        assert ours == theirs, f"seed {self.seed}, case {self.tried}, {name}: {ours} and {theirs}: {bundle!r}"

    def changed(self, data: bytes) -> bytes:
        """The document with something else in it."""
        if data.startswith(b"{") and self.random.random() < 0.7:
            document = json.loads(data)
            for _ in range(self.random.randint(1, 3)):
                self.tree(document)
            return spelled(document) if self.random.random() < 0.9 else json.dumps(document).encode()
        for _ in range(self.random.randint(1, 3)):
            data = self.bytes(data)
        return data

    def bytes(self, data: bytes) -> bytes:
        """Other bytes, words or lines."""
        draw = self.random
        at = draw.randint(0, len(data))
        end = min(len(data), at + draw.choice((0, 1, 1, 2, 4, 32)))
        kind = draw.randrange(6)
        if kind == 0 and at < len(data):
            return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]
        if kind == 1:
            return data[:at] + data[at:end] * draw.choice((0, 2, 3)) + data[end:]
        if kind == 2:
            return data[:at]
        if kind == 3:
            mark = draw.choice((b"\n", b" ", b"+"))
            parts = data.split(mark)
            one, other = draw.randrange(len(parts)), draw.randrange(len(parts))
            parts[one] = parts[other]
            return mark.join(parts)
        if kind == 4:
            other = draw.choice(draw.choice(list(READERS.values())).seeds)
            return data[:at] + other[draw.randint(0, len(other)) :][:200] + data[end:]
        return data[:at] + draw.choice(PIECES) + data[end:]

    def tree(self, document: Any) -> None:
        """Something else at one place of a parsed document."""
        draw = self.random
        holder, key = draw.choice(list(places(document)))
        kind = draw.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other_holder, other = draw.choice(list(places(document)))
            holder[key] = copy.deepcopy(other_holder[other])
        elif kind == 2 and isinstance(holder, list):
            holder.insert(draw.randint(0, len(holder)), copy.deepcopy(holder[key]))
        elif kind == 3 and isinstance(holder, list):
            holder.reverse()
        elif kind == 4 and isinstance(holder, dict):
            holder[draw.choice((f"{key}_", "", "schema", "more"))] = holder.pop(key)
        elif kind in {5, 6} and isinstance(holder[key], str) and holder[key]:
            holder[key] = self.words(holder, key)
        else:
            holder[key] = copy.deepcopy(draw.choice(ODD))

    def words(self, holder: Any, key: Any) -> str:
        """Another text; where it is a payload, one that says something else, signed anew."""
        value: str = holder[key]
        if key == "payload" and isinstance(holder, dict):
            try:
                inner = json.loads(base64.b64decode(value))
            except ValueError:
                return value[:-1]
            if isinstance(inner, (dict, list)) and inner:
                self.tree(inner)
                return self.signed(holder, spelled(inner))
        changed = self.bytes(value.encode("utf-8", "surrogatepass"))
        return changed.decode("utf-8", "replace")

    def signed(self, holder: dict[str, Any], payload: bytes) -> str:
        """The payload in base64, and its signature by the key that made the one before, if the tests know it."""
        for seed in SIGNERS:
            try:
                known = Envelope.from_json(holder).keyid == sign_envelope(b"{}", private_key(seed)).keyid
            except CountersignError:
                break
            if known:
                holder["signatures"] = sign_envelope(payload, private_key(seed)).to_json()["signatures"]
        return base64.b64encode(payload).decode()


@dataclass(frozen=True)
class _Refused:
    """How a parser refused. In which words is not compared: they name files."""

    kind: str


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key of a document, the outermost excepted."""
    if isinstance(document, dict):
        for key, value in list(document.items()):
            yield document, key
            yield from places(value)
    elif isinstance(document, list):
        for at, value in enumerate(document):
            yield document, at
            yield from places(value)


def spelled(document: Any) -> bytes:
    """Canonical JSON, or, of what has none, some other."""
    try:
        return canonical(document)
    except CountersignError:
        return json.dumps(document, separators=(",", ":")).encode()
