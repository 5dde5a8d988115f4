# SPDX-License-Identifier: Apache-2.0
"""Fuzz the reading and comparing of facts: hostile edits of the corpus' own sources, in every language and format.

Each case takes two files of the corpus (of one kind of file, or of two), cuts, repeats and inserts pieces, and compares
them, beside the files that calls of the corpus lead to, which are cut alike in half of the cases. Whatever happens is a
finding, a file named as not analysed, or nothing: an exception is a failure, and so is a case that takes longer than
--slowest seconds of processor time, or another document for the same input.

    python benchmarks/fuzzing.py [--seconds N] [--seed N]

Prints what was tried; a failing case is shrunk by hypothesis and printed. Exit status 1 then.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import tomllib
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from diffing._around import Around
from diffing._compare import Comparison
from diffing._content import Change, Side

CORPUS = Path(__file__).parents[1] / "tests/diffing/corpus"
PATHS = {
    "config": "config.yaml", "cpp": "rank.cc", "go": "rank.go", "java": "Ranker.java", "javascript": "rank.js",
    "kotlin": "Ranker.kt", "ruby": "ranker.rb", "rust": "rank.rs", "scala": "Ranker.scala", "sql": "rank.sql",
    "typescript": "rank.ts",
}  # fmt: skip
MORE = ["a.ipynb", "a.hocon", "a.properties", "a.toml", "a.json", "README.md", "countersign.toml", "names.txt", ".env"]
WORDS = """
( ) [ ] { } " ' \"\"\" ` # // /* */ ; , : = == != < -> => :: ... if else for in not and lambda class def( func fun impl
return import 0 -1 1e999 0x 1_0 inf nan &a [*a] <<:*a ${a} ${?x} include f'{ %s \\ \\u --- |- @ ~ yield await SELECT
WHERE CASE #define template< getattr(x, eval( open( score= weight: requests.post( user.email blocked=['acct_1',
"""
ODD = [
    "\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\ufeff",
    "\u202e",
    "\u0435",
    "\U0001d7d9",
    "\ud800",
    "10" * 200,
    "match x:\n case {",
]
PIECES = [*WORDS.split(), *(f" {word} " for word in WORDS.split() if word.isalpha()), *ODD]


def sources() -> list[tuple[str, str]]:
    """Path and text of everything that the corpus has."""
    found: set[tuple[str, str]] = {(path, "") for path in MORE}
    for file in sorted(CORPUS.glob("*.toml")):
        document = tomllib.loads(file.read_text("utf-8"))
        for case in document["case"]:
            path = case.get("path", PATHS.get(file.stem, "rank.py"))
            for text in (case.get("before"), case.get("after"), case.get("around"), document.get("source")):
                found |= set(text.items()) if isinstance(text, dict) else {(path, text)} if text else set()
    return sorted(found)


def neighbours() -> dict[str, bytes]:
    """The files that calls of the corpus lead to."""
    document = tomllib.loads((CORPUS / "capabilities_elsewhere.toml").read_text("utf-8"))
    return {path: text.encode() for case in document["case"] for path, text in case["around"].items()}


def compared(path: str, old: bytes | None, new: bytes | None, around: dict[str, bytes]) -> str:
    """What a comparison says, as one text."""
    comparison = Comparison(around=Around(lambda: [path, *around], lambda at, most: around[at][:most]))
    sides = [
        Side(hashlib.sha256(one).hexdigest(), "file", len(one), one) if one is not None else None for one in (old, new)
    ]
    status = "added" if old is None else "removed" if new is None else "modified"
    comparison.add(Change(path, None, status, *sides))
    outcome = comparison.finish()
    found = [[finding.to_json() for finding in outcome.findings], [entry.to_json() for entry in outcome.not_analysed]]
    return repr(found)


def edited(text: str, edits: list[tuple[int, int, int, str]]) -> bytes:
    """A text after cutting, repeating and inserting."""
    for place, length, times, piece in edits:
        at = place % (len(text) + 1)
        text = text[:at] + (text[at : at + length] or piece) * times + piece + text[at + length :]
    return text.encode("utf-8", "surrogatepass")


def main() -> int:
    """Fuzz until the time is up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--slowest", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    given_ = parser.parse_args()
    known, near = sources(), neighbours()
    edit = st.tuples(st.integers(0, 5000), st.integers(0, 60), st.integers(0, 40), st.sampled_from(PIECES))
    side = st.tuples(st.sampled_from(known), st.lists(edit, max_size=8))
    tried = slowest = 0.0

    @settings(
        max_examples=500,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(side, side, st.sampled_from(["both", "added", "removed"]), st.booleans())
    def case(one: tuple[tuple[str, str], list], other: tuple[tuple[str, str], list], which: str, same: bool) -> None:  # type: ignore[type-arg]  # noqa: FBT001
        nonlocal tried, slowest
        (path, before), (_, after) = one[0], other[0]
        old = edited(before, one[1]) if which != "added" else None
        new = edited(before if same else after, other[1]) if which != "removed" else None
        around = {at: edited(text.decode(), one[1]) if same else text for at, text in near.items() if at != path}
        started = time.process_time()
        said = compared(path, old, new, around)
        took = time.process_time() - started
        tried, slowest = tried + 1, max(slowest, took)
        if took > given_.slowest:
            raise AssertionError(f"{path} took {took:.1f} s")
        if tried % 20 == 0 and compared(path, old, new, around) != said:
            raise AssertionError(f"{path} is told in two ways")

    until, at = time.process_time() + given_.seconds, given_.seed
    while time.process_time() < until:
        seed(at)(case)()
        at += 1
    print(
        f"{tried:.0f} cases of {len(known)} sources in {given_.seconds:.0f} s of processor time, "
        f"the slowest {slowest:.2f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
