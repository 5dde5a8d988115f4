# SPDX-License-Identifier: Apache-2.0
"""How fast a change is diffed, and what pathological files cost.

Makes repositories of its own: a commit of 400 files with 100 renames (at most 10 s), 200 ordinary commits (60 s), a
first import of 5,000 files (60 s and 1.5 GB); and files meant to cost: a minified line of 2 MB, a list of 100,000
entries, deeply nested brackets, 50 MB of JSON, in several languages. Python and Go call clients that do not change,
with other arguments in every commit, so that each commit's calls are followed to their sinks. Each runs in a process of
its own, whose peak memory is its own.

    python benchmarks/diff_cost.py [--quick]

Prints a table; exit status 1 if a bound is missed both by the clock and by processor time, or a pathological file is
neither read nor named. On a machine that does nothing else the clock is the one to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from confine import Repository
from diffing import diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Tree = dict[str, bytes]
PATHOLOGICAL_SECONDS, PATHOLOGICAL_MB = 20.0, 1500.0
QUICK = 20  # how many times smaller
CLIENTS = 10


class Bound(NamedTuple):
    """What a case may cost: seconds and megabytes."""

    seconds: float
    megabytes: float


def module(number: int, weight: float) -> bytes:
    """A Python module of about 60 lines."""
    client = number % CLIENTS
    lines = [f'"""Part {number} of the ranking."""', "", "import math", "", f"from shared.client{client} import send"]
    lines += ["", f"SHARE_WEIGHT_{number} = {weight}", "", "def report(item):", f'    send(item.title, "{weight}")', ""]
    for at in range(6):
        lines += [
            f"def score_{number}_{at}(item, context, boost={at}.5):",
            f"    value = item.likes_{at} * SHARE_WEIGHT_{number} + item.replies * {at + 1.25}",
            f"    if item.age_hours > {24 + at} and not item.pinned:",
            f"        value *= math.exp(-item.age_hours / {48 + at})",
            f"    for signal in context.signals_{at}:",
            "        value += signal.weight * signal.count",
            f"    return max(0.0, value - item.reports * {at}.75 + boost)",
            "",
        ]
    return "\n".join(lines).encode()


def go_module(number: int, weight: float) -> bytes:
    """A Go file of about 50 lines."""
    lines = ["package rank", "", 'import "example.com/app/go/shared"', "", f"const ShareWeight{number} = {weight}", ""]
    lines += [f"func report{number}(item Item) {{", f'\tshared.Send{number % CLIENTS}(item.Title, "{weight}")', "}", ""]
    for at in range(5):
        lines += [
            f"func Score{number}x{at}(item Item) float64 {{",
            f"\tvalue := item.Likes*ShareWeight{number} + item.Replies*{at + 1.25}",
            f"\tif item.AgeHours > {24 + at} && !item.Pinned {{",
            f"\t\tvalue *= {at}.5",
            "\t}",
            f"\treturn value - item.Reports*{at}.75",
            "}",
            "",
        ]
    return "\n".join(lines).encode()


def clients() -> Tree:
    """The files that the modules call and that do not change: each gets to its sink through another."""
    helpers = "".join(
        f"def helper_{at}(value, limit={at}.5):\n    return [one for one in value if one > limit]\n\n\n"
        for at in range(12)
    )
    tree = {"go.mod": b"module example.com/app\n", "src/shared/__init__.py": b""}
    for at in range(CLIENTS):
        body = f"from shared.transport{at} import post\n\n\n{helpers}def send(body, name):\n    post(body, name)\n"
        tree[f"src/shared/client{at}.py"] = body.encode()
        sink = f'    requests.post("https://a{at}.partner.net", json=body)\n'
        tree[f"src/shared/transport{at}.py"] = f"import requests\n\n\n{helpers}def post(body, name):\n{sink}".encode()
        sink = f'\thttp.Post("https://a{at}.partner.net", name, body)\n'
        go = f'package shared\n\nimport "net/http"\n\nfunc Send{at}(body string, name string) {{\n{sink}}}\n'
        tree[f"go/shared/client{at}.go"] = go.encode()
    return tree


def settings(number: int, weight: float) -> bytes:
    """A YAML file of about 30 lines."""
    return "\n".join(
        [f"ranking_{number}:", f"  share_weight: {weight}"]
        + [f"  signal_{at}: {{weight: {at}.5, cap: {at * 10}}}" for at in range(28)]
    ).encode()


def source(number: int, weight: float) -> tuple[str, bytes]:
    """The path and content of one file of a made-up service: Python, Go and YAML."""
    kind = number % 5
    if kind == 4:  # noqa: PLR2004 - one in five
        return f"conf/part{number // 50}/s{number}.yaml", settings(number, weight)
    if kind == 3:  # noqa: PLR2004 - one in five
        return f"go/part{number // 50}/r{number}.go", go_module(number, weight)
    return f"src/part{number // 50}/m{number}.py", module(number, weight)


def repository(path: Path, trees: Iterable[Mapping[str, bytes]]) -> Path:
    """A bare repository with one commit a tree, written by git's fast-import."""
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    command = ["git", "-C", str(path), "fast-import", "--quiet", "--force"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        pipe = process.stdin
        assert pipe is not None  # noqa: S101 - it was asked for
        write = pipe.write
        for at, tree in enumerate(trees):
            write(b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 1\nx\n" % (1_700_000_000 + at))
            write(b"deleteall\n")
            for name, content in tree.items():
                write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content))
        pipe.close()
    subprocess.run(["git", "-C", str(path), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    return path


def renames(scale: int) -> list[Tree]:
    """400 files changed, 100 of them renamed too."""
    before = {**clients(), **dict(source(number, 1.5) for number in range(800 // scale))}
    after = dict(before)
    for number in range(400 // scale):
        path, content = source(number, 2.5)
        del after[path]
        after[path.replace("part", "moved") if number < 100 // scale else path] = content
    return [before, after]


def ordinary(scale: int) -> list[Tree]:
    """200 commits of one to five files each."""
    draw = random.Random(3)  # noqa: S311 - the same repository each time
    tree = {**clients(), **dict(source(number, 1.5) for number in range(300))}
    trees = [tree]
    for _ in range(200 // scale):
        tree = dict(tree)
        for number in draw.sample(range(300), draw.randint(1, 5)):
            path, content = source(number, round(draw.uniform(0.5, 9), 2))
            tree[path] = content
        trees.append(tree)
    return trees


def first_import(scale: int) -> list[Tree]:
    """5,000 files at once."""
    return [{"README": b"x\n"}, {**clients(), **dict(source(number, 1.5) for number in range(5000 // scale))}]


def minified(scale: int) -> bytes:
    """JavaScript on one line of 2 MB."""
    one = b'function f(a,b){return a.score*2.5+b.weight>3?a:b}var x={"k":1.5,z:[1,2,3]};if(a&&!b){c(a)}'
    return one * (2_000_000 // len(one) // scale)


PATHOLOGICAL = {
    "minified.js, one line of 2 MB": ("app.js", minified),
    "list of 100,000 accounts (Python)": (
        "blocked.py",
        lambda scale: b"BLOCKED = [" + b", ".join(b'"acct_%d"' % at for at in range(100_000 // scale)) + b"]\n",
    ),
    "list of 100,000 accounts (JSON)": (
        "blocked.json",
        lambda scale: b'{"blocked": [' + b", ".join(b'"acct_%d"' % at for at in range(100_000 // scale)) + b"]}\n",
    ),
    "list of 100,000 accounts (HOCON)": (
        "blocked.conf",
        lambda scale: b"blocked = [" + b", ".join(b'"acct_%d"' % at for at in range(100_000 // scale)) + b"]\n",
    ),
    "brackets nested 100,000 deep (Python)": ("deep.py", lambda scale: b"x = " + b"[" * (100_000 // scale)),
    "brackets nested 100,000 deep (JSON)": (
        "deep.json",
        lambda scale: b"[" * (100_000 // scale) + b"]" * (100_000 // scale),
    ),
    "calls nested 20,000 deep (Scala)": (
        "Deep.scala",
        lambda scale: b"val x = " + b"f(" * (20_000 // scale) + b"1" + b")" * (20_000 // scale),
    ),
    "blocks nested 20,000 deep (C++)": (
        "deep.cc",
        lambda scale: b"void f() " + b"{" * (20_000 // scale) + b"}" * (20_000 // scale),
    ),
    "sum of 50,000 terms (Rust)": (
        "sum.rs",
        lambda scale: b"fn f() -> f64 { a" + b" + a" * (50_000 // scale) + b" }",
    ),
    "JSON of 50 MB": (
        "big.json",
        lambda scale: b"[" + b",".join(b'{"id": %d, "weight": 1.5}' % at for at in range(1_900_000 // scale)) + b"]",
    ),
}


def measured(path: Path, commits: int) -> dict[str, object]:
    """Diff the last commits of a repository, each against its parent, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, __file__, "--measure", str(path), "--commits", str(commits)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    found: dict[str, object] = json.loads(finished.stdout)
    return found


def measure(path: Path, commits: int) -> None:
    """Print what diffing the last commits took."""
    files, named, findings = 0, [], 0
    started, cpu = time.perf_counter(), time.process_time()
    with Repository.open(path) as opened:
        for at in range(commits - 1, -1, -1):
            result = diff(opened, f"HEAD~{at + 1}", f"HEAD~{at}")
            files += len(result.files)
            findings += len(result.findings)
            named += [f"{entry.path}: {entry.reason}" for entry in result.not_analysed]
    print(
        json.dumps({
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "files": files,
            "findings": findings,
            "named": named[:5],
        })
    )  # fmt: skip


def main() -> int:
    """Make the repositories, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"everything {QUICK} times smaller")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--commits", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.commits)
        return 0
    scale = QUICK if given.quick else 1
    missed = False
    print(f"{'case':<40} {'files':>6} {'seconds':>8} {'CPU s':>7} {'MB':>7} {'findings':>8}  bound, and what was cut")
    whole = [
        ("400 files, 100 renamed", renames(scale), Bound(10, 1500)),
        ("200 ordinary commits", ordinary(scale), Bound(60, 1500)),
        ("first import of 5,000 files", first_import(scale), Bound(60, 1500)),
    ]
    bound = Bound(PATHOLOGICAL_SECONDS, PATHOLOGICAL_MB)
    start = {"README": b"x\n"}
    pathological = [(name, [start, {**start, path: make(scale)}], bound) for name, (path, make) in PATHOLOGICAL.items()]
    with tempfile.TemporaryDirectory() as folder:
        for at, (name, trees, limit) in enumerate([*whole, *pathological]):
            found = measured(repository(Path(folder) / f"{at}.git", trees), len(trees) - 1)
            seconds, megabytes = float(str(found["seconds"])), float(str(found["megabytes"]))
            silent = not found["files"]
            failed = min(seconds, float(str(found["cpu"]))) > limit.seconds or megabytes > limit.megabytes or silent
            missed = missed or failed
            named = "; ".join(map(str, found["named"])) if isinstance(found["named"], list) else ""
            print(
                f"{name:<40} {found['files']:>6} {seconds:>8.2f} {found['cpu']:>7.2f} {megabytes:>7.0f} "
                f"{found['findings']:>8}  {'MISSED ' if failed else ''}{limit.seconds:g} s, {limit.megabytes:g} MB"
                f"{f'; {named[:110]}' if named else ''}",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
