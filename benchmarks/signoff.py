# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the path is set before anything of that room is imported
"""How fast the log, its proofs, the gate and a witness are, against what was promised.

    python benchmarks/signoff.py [--parts append,proof,gate,witness] [--entries N] [--gigabytes G] [--folder DIR]

``append``: entries of 300 bytes in batches, each batch on disk (fsync) under a signed checkpoint before the next.
``proof``: a log of ``--entries``, built in bulk without waiting for the disk; then inclusion and consistency proofs,
each by a reader that has read nothing before, from tiles alone: the entry bundles are moved away first.
``gate``: the whole gate on a revision with an artifact of ``--gigabytes``, beside ``openssl dgst -sha256`` on the same
file, in turns. ``witness``: add-checkpoint, disk included, over a log that grows; and what a gate does with the answer.

Times are the least and the median of several runs, by the clock and of the processor; the load of the machine before
and after is printed, because other work on it changes the clock's. A table at the end has each aim beside the median by
the clock that is held to it; where one is missed, the status is 1.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path[0] = str(Path(__file__).resolve().parents[1] / "tests" / "signoff")  # this file has the room's own name

from world import NOW, make_world

from evidence import sha256_hex
from signoff import (
    Cosigner,
    Log,
    LogKey,
    LogReader,
    Witness,
    build_request,
    leaf_hash,
    open_checkpoint,
    parse_quorum,
    verify_consistency,
    verify_inclusion,
)
from signoff._disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = LogKey.generate("benchmark.example/log")
BATCH = 500
CHUNK = 1 << 16
_REFUSED = 400


class Measured(NamedTuple):
    """Seconds: the least and the median by the clock, and the median of the processor, children's included."""

    least: float
    median: float
    processor: float

    def text(self) -> str:
        """One line."""
        return f"{self.median * 1000:.2f} ms (least {self.least * 1000:.2f}, {self.processor * 1000:.2f} of processor)"


class Held(NamedTuple):
    """A figure beside what it is to be: at least that, or at most."""

    what: str
    unit: str
    figure: float
    aim: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is as it is to be."""
        return self.figure >= self.aim if self.at_least else self.figure <= self.aim

    def row(self) -> str:
        """A row of the table."""
        sign = "≥" if self.at_least else "≤"
        said = "met" if self.met else "MISSED"
        return f"| {self.what} | {self.figure:,.2f} {self.unit} | {sign} {self.aim:,g} {self.unit} | {said} |"


class HastyDisk(Disk):
    """Does not wait for the disk; for building the large log only."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""


def processor() -> float:
    """Seconds of processor that this process and its children have used."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(work: Callable[[], object], runs: int) -> Measured:
    """What ``work`` takes."""
    clock, spent = [], []
    for _ in range(runs):
        start, before = time.perf_counter(), processor()
        work()
        clock.append(time.perf_counter() - start)
        spent.append(processor() - before)
    return Measured(min(clock), statistics.median(clock), statistics.median(spent))


def disk(folder: Path) -> None:
    """What one fsync of a new file takes here and now: what waits for the disk takes that several times over."""

    def sync() -> None:
        with (folder / "file").open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())

    print(f"the disk itself, one fsync of 4 KB: {measure(sync, 50).text()}")


def append(folder: Path) -> list[Held]:
    """How many entries a second get on disk."""
    disk(folder)
    log = Log(folder / "append", KEY)
    entries = [os.urandom(150).hex().encode() for _ in range(BATCH)]
    found = measure(lambda: log.append_entries(entries), 20)
    rate = BATCH / found.median
    print(f"append, {BATCH} entries of 300 bytes a batch: {found.text()}; {rate:,.0f} entries/s")
    one = measure(lambda: log.append_entries(entries[:1]), 20)
    print(f"append of a single entry: {one.text()}")
    return [Held(f"append, {BATCH} a batch with fsync", "entries/s", rate, 2_000, at_least=True)]


def proof(folder: Path, count: int) -> list[Held]:
    """How long a proof out of a large log takes."""
    log = Log(folder / "large", KEY, disk=HastyDisk())
    start, before = time.perf_counter(), processor()
    while log.size < count:
        first = log.size
        log.append_entries([b"entry %d" % number for number in range(first, min(count, first + CHUNK))])
    built, spent = time.perf_counter() - start, processor() - before
    print(f"built {count:,} entries in {built:.0f} s ({spent:.0f} s of processor)")
    (folder / "large" / "tile" / "entries").rename(folder / "entries-moved-away")
    head = open_checkpoint(log.checkpoint(), KEY.public)
    chosen = random.Random(1)  # noqa: S311 - places to look at, not secrets

    def include() -> None:
        index = chosen.randrange(count)
        made = LogReader(folder / "large", KEY.public).proof(index)
        verify_inclusion(leaf_hash(b"entry %d" % index), index, count, made.path, head.root)

    def consist() -> None:
        LogReader(folder / "large", KEY.public).consistency_proof(chosen.randrange(1, count))

    found = measure(include, 200)
    print(f"inclusion proof out of {count:,}, verified: {found.text()}")
    print(f"consistency proof to {count:,}: {measure(consist, 200).text()}")
    return [Held(f"inclusion proof out of {count:,}, from tiles only", "ms", found.median * 1000, 5)]


def gate(folder: Path, gigabytes: float) -> list[Held]:
    """How long the gate takes over a large artifact."""
    model = folder / "model.bin"
    piece = os.urandom(1 << 20)
    with model.open("wb") as file:
        for _ in range(int(gigabytes * 1024)):
            file.write(piece)
    world = make_world(folder, model)
    world.write()
    command = ["openssl", "dgst", "-sha256", str(model)]
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = [], []
    for _ in range(5):
        theirs.append(measure(lambda: subprocess.run(command, check=True, capture_output=True), 1))
        ours.append(measure(world.gate, 1))
    if not world.gate().admitted:
        sys.exit("the gate refuses")
    for name, found in (("gate", ours), ("openssl dgst -sha256", theirs)):
        clock = sorted(one.least for one in found)
        spent = statistics.median(one.processor for one in found)
        print(f"{name} on {gigabytes} GB: {clock[2]:.2f} s (least {clock[0]:.2f}, {spent:.2f} s of processor)")
    by_clock = statistics.median(one.least for one in ours) / statistics.median(one.least for one in theirs)
    by_processor = statistics.median(a.processor / b.processor for a, b in zip(ours, theirs, strict=True))
    print(f"gate / openssl: {by_clock:.2f} by the clock, {by_processor:.2f} of processor")
    return [Held(f"gate on {gigabytes:g} GB / openssl dgst -sha256", "times", by_clock, 1.2)]


def witness(folder: Path) -> list[Held]:
    """How long a witness takes, and who checks what it says."""
    log = Log(folder / "small", KEY)
    log.append_entries([b"first"])
    cosigner = Cosigner.generate("benchmark.example/witness")
    disk(folder)
    seen = Witness(folder / "witness", [cosigner], [KEY.public])
    seen.add_checkpoint(build_request(0, (), log.checkpoint()))
    bodies = []
    for _ in range(50):
        old = log.size
        log.append_entries([sha256_hex(str(old).encode()).encode()] * 40)
        bodies.append(build_request(old, log.consistency_proof(old), log.checkpoint()))
    answers = iter(bodies)
    found = measure(lambda: seen.add_checkpoint(next(answers)).status < _REFUSED or sys.exit("refused"), len(bodies))
    print(f"witness, add-checkpoint with fsync: {found.text()}")
    text = log.checkpoint().decode().partition("\n\n")[0] + "\n"
    note = log.checkpoint() + cosigner.cosign(text, NOW).encode()
    quorum = parse_quorum(f"witness w {cosigner.public.vkey}\nquorum w\n".encode())
    judged = measure(lambda: quorum.check(note), 200)
    print(f"checking a checkpoint's quorum of one: {judged.text()}")
    head = open_checkpoint(note, KEY.public)
    path = log.consistency_proof(1)
    first = leaf_hash(b"first")
    checked = measure(lambda: verify_consistency(1, head.size, first, head.root, path), 200)
    print(f"checking a consistency proof: {checked.text()}")
    return [
        Held("witness, add-checkpoint with fsync", "ms", found.median * 1000, 10),
        Held("checking a witness's cosignature", "ms", judged.median * 1000, 10),
    ]


def main() -> int:
    """Run the parts; 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="append,proof,gate,witness")
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    held: list[Held] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for part in options.parts.split(","):
            folder = Path(name) / part
            folder.mkdir()
            if part == "proof":
                held += proof(folder, options.entries)
            elif part == "gate":
                held += gate(folder, options.gigabytes)
            else:
                held += {"append": append, "witness": witness}[part](folder)
            shutil.rmtree(folder)
    print(f"load after {os.getloadavg()[0]:.1f}\n")
    print("\n".join(("| What | Median by the clock | Aim | |", "|---|---|---|---|", *(one.row() for one in held))))
    return 0 if held and all(one.met for one in held) else 1


if __name__ == "__main__":
    sys.exit(main())
