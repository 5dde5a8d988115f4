# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of ``model-diff``, side by side with hashing the same files in the same run.

Writes two safetensors files of a few gigabytes that differ everywhere, and a copy of one, then times
``openssl dgst -sha256`` over both files and ``model-diff`` over the same; and a million rows of 64 with their axes
turned and their neighbours compared; and two snapshots of millions of interactions. Resident memory is the most that
any process below this one held.

    python benchmarks/artifacts.py [--gigabytes N] [--rows N] [--interactions N] [--folder DIR]

Prints a table; exit status 1 if a bound holds neither by the clock nor by the processor time of all processes: three
times the hash for files that differ, once for equal ones, 600 MB resident, 60 s for the million rows, 1 GiB resident
for the snapshots, whose rows are counted to the last one. On a machine that does nothing else the clock is the one to
look at. Removes what it wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diffing import data_diff, model_diff

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS = os.sysconf("SC_CLK_TCK")
TENSOR = 256 << 20  # bytes of each tensor
WIDTH = 1024
PART = 2_000_000  # interactions of a file
GROWN = 0.9  # of the rows of one item in fifty are of another source in the grown snapshot
TIMES_HASH, TIMES_HASH_EQUAL, RESIDENT, SECONDS = 3.0, 1.0, 600 << 20, 60.0
RESIDENT_DATA = 1 << 30


class Watch:
    """What the processes below this one were seen to hold and use; looked at ten times a second.

    ``most`` is in bytes, of one process; ``used`` is processor seconds by process. A sandbox's processes are not waited
    for by this one, so that the kernel's own sums do not have them.
    """

    def __init__(self) -> None:
        self.most = 0
        self.used: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        own = str(Path("/proc/self").resolve().name)
        mine = {own}
        while not self._ended.wait(0.1):
            parents: dict[str, tuple[str, int]] = {}
            used: dict[str, float] = {}
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with suppress(OSError, ValueError, KeyError):
                        lines = (entry / "status").read_text().splitlines()
                        told = dict(line.split(":", 1) for line in lines if ":" in line)
                        parents[entry.name] = (told["PPid"].strip(), int(told["VmHWM"].split()[0]) << 10)
                        times = (entry / "stat").read_text().rpartition(")")[2].split()[11:13]
                        used[entry.name] = sum(map(int, times)) / TICKS
            for _ in range(8):
                mine |= {pid for pid, (parent, _) in parents.items() if parent in mine}
            below = [size for pid, (_, size) in parents.items() if pid in mine and pid != own]
            self.most = max([self.most, *below])
            self.used |= {pid: seconds for pid, seconds in used.items() if pid in mine and pid != own}


def write(path: Path, total: int, seed: int) -> None:
    """Tensors of random normal values; each file's own."""
    count = max(1, total // TENSOR)
    rows = min(TENSOR, total) // 4 // WIDTH
    size = rows * WIDTH * 4
    header = {
        f"layer.{number:02}": {
            "dtype": "F32",
            "shape": [rows, WIDTH],
            "data_offsets": [number * size, (number + 1) * size],
        }
        for number in range(count)
    }
    words = json.dumps(header).encode()
    shared, own = np.random.default_rng(1), np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(words)) + words)
        for _ in range(count):
            table = shared.standard_normal((rows, WIDTH), dtype="f4")
            table += own.standard_normal((rows, WIDTH), dtype="f4") * np.float32(0.01)
            file.write(table.tobytes())


class Took(NamedTuple):
    """Seconds by the clock and of processors below this process, and the most that one of those held."""

    seconds: float
    processor: float
    resident: int


def timed(work: Callable[[], Any]) -> tuple[Took, Any]:
    """What the work took, and its result."""
    with Watch() as watch:
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    return Took(seconds, sum(watch.used.values()), watch.most), result


def told(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(f"{line}\n")


def hashed(*paths: Path) -> None:
    """The yardstick."""
    subprocess.run(["openssl", "dgst", "-sha256", *map(str, paths)], check=True, stdout=subprocess.DEVNULL)


def table(path: Path, rows: int, *, seed: int) -> None:
    """Clustered rows of 64; another seed gives other noise in other axes."""
    shared, own = np.random.default_rng(2), np.random.default_rng(seed)
    centres = shared.standard_normal((2000, 64), dtype="f4") * 2
    numbers = centres[shared.integers(0, 2000, rows)] + shared.standard_normal((rows, 64), dtype="f4")
    numbers += own.standard_normal((rows, 64), dtype="f4") * np.float32(0.1)
    turn, _ = np.linalg.qr(own.standard_normal((64, 64)))
    np.save(path, numbers @ turn.astype("f4"))


def snapshot(folder: Path, rows: int, *, grown: bool) -> int:
    """Interactions of two million users as a folder of Parquet; in a grown one a source has more of them.

    Returns how many rows are of that source.
    """
    folder.mkdir()
    draw, state = np.random.default_rng(7), 0
    for part, first in enumerate(range(0, rows, PART)):
        count = min(PART, rows - first)
        items, users = draw.integers(0, 300_000, count), draw.integers(0, 2_000_000, count)
        source = np.where(items % 50 == 0, 0, np.where(items % 3 == 0, 1, 2))
        days, label = draw.integers(0, 180, count), draw.integers(0, 3, count)
        source[(items % 50 == 1) & (draw.random(count) < GROWN) & grown] = 0
        state += int((source == 0).sum())
        columns = {
            "user_id": users,
            "item_id": items,
            "source": pa.array(np.array(["state", "wire", "press"])[source]).dictionary_encode(),
            "event": pa.array(np.array(["view", "like", "share"])[label]).dictionary_encode(),
            "timestamp": 1_700_000_000 + days * 86_400,
        }
        pq.write_table(pa.table(columns), folder / f"part-{part:03}.parquet", row_group_size=1 << 20)
    return state


def snapshots(folder: Path, rows: int) -> bool:
    """Compare two snapshots and print what it took; whether memory and counts hold."""
    state = [snapshot(folder / side, rows, grown=side == "grown") for side in ("plain", "grown")]
    took, result = timed(lambda: data_diff(folder / "plain", folder / "grown"))
    document = result.to_json()
    told = document["values"]["source"]["state"]
    ok = took.resident <= RESIDENT_DATA and [told["old"], told["new"]] == state
    ok &= [document[side]["rows"] for side in ("base", "head")] == [rows, rows]
    ok &= any("state" in finding.title for finding in result.findings)
    print("\n| Work | Seconds | Processor seconds | MB resident | |\n|---|---|---|---|---|")
    line = f"{took.seconds:.1f} | {took.processor:.1f} | {took.resident / 1e6:.0f} | {'' if ok else 'FAILED'} |"
    print(f"| 2 x {rows:,} interactions | {line}")
    return ok


def main() -> int:
    """Run it; 0 if all bounds hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    total = int(arguments.gigabytes * 1e9)
    free = shutil.disk_usage(arguments.folder).free
    if free < 4 * total:
        sys.stderr.write(f"{arguments.folder}: {free:,} bytes are free, {4 * total:,} are wanted\n")
        return 2
    failed = 0
    with tempfile.TemporaryDirectory(prefix="artifacts-", dir=arguments.folder) as folder:
        Path(folder).chmod(0o755)
        base, head, copy = (Path(folder, f"{name}.safetensors") for name in ("base", "head", "copy"))
        if total:
            write(base, total, 3)
            write(head, total, 4)
            shutil.copyfile(base, copy)
            print(
                f"| Work over 2 x {total / 1e9:.1f} GB | Seconds | Times the hash | Processor seconds | Times the hash "
                "| MB resident | |"
            )
            print("|---|---|---|---|---|---|---|")
            hashed(base, head)  # so that both runs find the files where the kernel keeps them, or neither does
            hash_, _ = timed(lambda: hashed(base, head))
            print(
                f"| openssl dgst -sha256 | {hash_.seconds:.1f} | 1.00 | {hash_.processor:.1f} | 1.00 | | |", flush=True
            )
            for name, other, bound, status in (
                ("all values differ", head, TIMES_HASH, "changed"),
                ("equal", copy, TIMES_HASH_EQUAL, "same"),
            ):
                took, result = timed(lambda other=other: model_diff(base, other, progress=told))
                times = took.seconds / hash_.seconds, took.processor / hash_.processor
                ok = 0 < min(times) <= bound and took.resident <= RESIDENT
                ok &= {tensor.status for tensor in result.tensors} == {status}
                failed += not ok
                print(
                    f"| {name} | {took.seconds:.1f} | {times[0]:.2f} | {took.processor:.1f} | {times[1]:.2f} "
                    f"| {took.resident / 1e6:.0f} | {'' if ok else 'FAILED'} |",
                    flush=True,
                )
        if arguments.rows:
            old, new = Path(folder, "old.npy"), Path(folder, "new.npy")
            table(old, arguments.rows, seed=5)
            table(new, arguments.rows, seed=6)
            took, result = timed(lambda: model_diff(old, new, groups={"first": list(range(100))}))
            aligned = result.tensors[0].aligned
            ok = 0 < min(took.seconds, took.processor) <= SECONDS and aligned is not None
            failed += not ok
            found = f"residual {aligned.residual:.3f}, neighbours shared {aligned.jaccard:.2f}" if aligned else ""
            print("\n| Work | Seconds | Processor seconds | MB resident | Found | |\n|---|---|---|---|---|---|")
            line = f"{took.seconds:.1f} | {took.processor:.1f} | {took.resident / 1e6:.0f} | {found} | "
            line += "" if ok else "FAILED"
            print(f"| {arguments.rows:,} x 64 aligned | {line} |", flush=True)
        if arguments.interactions:
            failed += not snapshots(Path(folder), arguments.interactions)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
