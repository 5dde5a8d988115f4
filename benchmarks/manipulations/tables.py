# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - the sentences and tables of a document
"""``docs/detection.md`` from the rows: every figure with its number of pairs and a 95 % interval."""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import TYPE_CHECKING

from families import FAMILIES
from jobs import EXPLAINED, REBUILDS, REBUILT, TRAINED, all_jobs
from kinds import DECOYS, PLANTED
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

Line = dict[str, str]
RULES = {"any": "Countersign", "share_rule": "share moved 10 %", "t_rule": "t-test, BH", "drift_rule": "drift test"}
ENOUGH = 50  # pairs
PROMISED_FALSE, PROMISED_FAILED, PROMISED_FOUND = 0.05, 0.02, 0.95

INVISIBLE = (
    "audit-aware behaviour: a recommender that behaves while it is looked at (probe `disguise`)",
    "a country after a date, a device, a keyword in the request: contexts that the panel does not ask for (`trigger`)",
    "the same item treated otherwise when only its source or stance changes (`counterfactual`)",
    "where a reader is taken over weeks of watching (`rollout`), and what coordinated accounts can buy (`brigade`)",
)


def write_document(rows: Path, document: Path) -> None:
    """Read the rows and write the document."""
    with rows.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    parts = [
        _head(lines),
        _targets(lines),
        _false_alarms(lines),
        _explained(lines),
        _by_family(lines),
        _by_kind(lines),
        _naive(lines),
        _decoys(lines),
        _trained(lines),
        _rest(lines),
    ]
    document.write_text("\n".join(parts), encoding="utf-8")


def interval(found: int, tried: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a proportion."""
    low = float(stats.beta.ppf(0.025, found, tried - found + 1)) if found else 0.0
    high = float(stats.beta.ppf(0.975, found + 1, tried - found)) if found < tried else 1.0
    return low, high


def _rate(lines: Sequence[Line], hit: Callable[[Line], bool]) -> str:
    """``12 of 300 (4.0 %; 2.1 % to 6.9 %)``."""
    if not lines:
        return "not tried"
    found = sum(map(hit, lines))
    low, high = interval(found, len(lines))
    return f"{found} of {len(lines)} ({found / len(lines):.1%}; {low:.1%} to {high:.1%})".replace("%", " %")


def _said(lines: Sequence[Line], *, holds: bool, otherwise: str) -> str:
    """Yes only where there are pairs enough to say so."""
    if not holds:
        return otherwise
    return "yes" if len(lines) >= ENOUGH else f"so far, but {len(lines)} pairs are too few"


def _is(column: str) -> Callable[[Line], bool]:
    return lambda line: line[column] == "1"


def _failed(line: Line) -> bool:
    return line["verdict"] == "fail"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return "Not tried yet.\n"
    body = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*body, *("| " + " | ".join(row) + " |" for row in rows), ""])


def _of(lines: Sequence[Line], **wanted: str) -> list[Line]:
    return [line for line in lines if all(line[column] == value for column, value in wanted.items())]


def _families(lines: Sequence[Line]) -> list[str]:
    present = {line["family"] for line in lines}
    return [name for name in FAMILIES if name in present]


def _head(lines: Sequence[Line]) -> str:
    return f"""<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by benchmarks/manipulations from its rows; change those. -->
# What is detected, and what is not

Pairs of base and head whose truth is known, judged by `compare` and by what platforms use instead. {len(lines):,} pairs so far of {len(all_jobs()):,}, of
{len(_families(lines))} model families that are really trained: matrix factorisation (`als`, `bpr`), neighbours (`bm25`), a hybrid with text, a gradient-boosted
ranker, all on NeMig's readers; `shortvideo-als` on the generated platform; a hand-written formula (`hot`) on Reddit's posts of 2013.

    make manipulations                                             all pairs that are not in the rows yet, then this page
    python benchmarks/manipulations/run.py --pair LINE             one pair again; LINE is the first column of a row

The rows are in `benchmarks/manipulations/rows.csv`. Seeds below 10,000 were used to choose how things are done
(depth, the square root, units of strata, negative controls) and are in no figure here. Only primary cells count, with 1,000 permutations; searching probes,
which cannot make an audit fail, are left out. Where no seed changes a family (`bm25`, `hot`), each pair is trained on nine tenths of the events, drawn for it. Intervals are Clopper and Pearson's at 95 %.
What was planted has a *true ratio*: the exposure of the planted slice under head over that of the same build without the
manipulation. "Flagged" means that the planted cell is `shifted`, `amplified` or `suppressed`.
"""


def _targets(lines: Sequence[Line]) -> str:
    rows = []
    groups: defaultdict[tuple[str, str, str, str, str, str], list[Line]] = defaultdict(list)
    for line in _of(lines, group="target"):
        key = ("family", "kind", "size", "retrained", "rebuilds", "k_only")
        groups[tuple(line[name] for name in key)].append(line)  # type: ignore[index] # six names, six values
    for (family, kind, size, retrained, rebuilds, k_only), found in sorted(groups.items()):
        how = [
            "retrained" if retrained == "1" else "same weights",
            "slates of k only" if k_only == "1" else f"depth {FAMILIES[family].depth}",
        ]
        if rebuilds != "0":
            how.append(f"{rebuilds} rebuilds of each side")
        flagged = sum(map(_is("flagged"), found)) / len(found)
        met = _said(found, holds=flagged >= PROMISED_FOUND, otherwise="**no**")
        amplified = _rate(found, lambda line: line["cell"] == "amplified")
        rows.append([family, kind, size, ", ".join(how), _rate(found, _is("flagged")), amplified, met])
    head = ("family", "kind", "true ratio", "how", "flagged", "amplified", "at least 95 % flagged")
    return "\n## What was promised\n\n" + _table(head, rows)


def _false_alarms(lines: Sequence[Line]) -> str:
    sets = [
        (family + words, _of(lines, family=family, group="benign", k_only=k_only))
        for family in _families(lines)
        for words, k_only in (("", "0"), (", slates of k only", "1"))
    ]
    sets.append((f"{REBUILT}, {REBUILDS} rebuilds of each side", _of(lines, family=REBUILT, group="benign-rebuilds")))
    rows = []
    for words, found in sets:
        if not found:
            continue
        low = interval(sum(map(_is("any"), found)), len(found))[0]
        high = interval(sum(map(_failed, found)), len(found))[1]
        rows.append(
            [
                words,
                _rate(found, _is("any")),
                _said(found, holds=low <= PROMISED_FALSE, otherwise="**no**"),
                _rate(found, _failed),
                "yes" if high <= PROMISED_FAILED else "**not shown**",
            ]
        )
    kinds = []
    for kind in dict.fromkeys(line["kind"] for line in _of(lines, group="benign")):
        found = _of(lines, group="benign", kind=kind)
        kinds.append([kind, _rate(found, _is("any")), _rate(found, _failed)])
    return (
        "\n## False alarms\n\nBenign changes: retrained with another seed, a small move of a hyperparameter, 3 % more data,"
        " scores in half precision, a refactoring. A false alarm is any significant primary cell. Where pairs have rebuilds, those"
        " are drawn from 48 of each side that all pairs share.\n\n"
        + _table(("family", "any cell flagged", "consistent with 5 %", "gate fails", "bound at most 2 %"), rows)
        + "\n"
        + _table(("kind of benign change", "any cell flagged", "gate fails"), kinds)
    )


def _explained(lines: Sequence[Line]) -> str:
    rows = []
    for kind in EXPLAINED:
        found = _of(lines, group="explained", kind=kind)
        raw = _rate(found, lambda line: abs(float(line["ratio"]) - 1.0) > 0.03)  # noqa: PLR2004 - 3 %
        rows.append([kind, raw, _rate(found, _is("any")), _rate(found, _failed)])
    return (
        "\n## Explained changes\n\nA freshness term, a popularity penalty and a better model, on panels that match on age and"
        " popularity. The right answer is a raw shift that is shown and no adjusted one.\n\n"
        + _table(("kind", "planted slice moved by over 3 %, raw", "any cell flagged", "gate fails"), rows)
    )


def _sizes(lines: Sequence[Line]) -> list[str]:
    return sorted({line["size"] for line in lines}, key=float)


def _cells(lines: Sequence[Line], sizes: Sequence[str]) -> list[str]:
    return [_rate(found, _is("flagged")) if (found := _of(lines, size=size)) else "" for size in sizes]


def _by_family(lines: Sequence[Line]) -> str:
    planted = [line for line in _of(lines, group="planted") if line["kind"] != "slow-ramp"]
    sizes, rows = _sizes(planted), []
    for family in _families(planted):
        for retrained, words in (("1", "retrained"), ("0", "same weights")):
            found = _of(planted, family=family, retrained=retrained)
            if found:
                rows.append([family, words, *_cells(found, sizes)])
    head = ("family", "on top of", *(f"{size}" for size in sizes))
    return "\n## Detection by family and true ratio, all planted kinds\n\n" + _table(head, rows)


def _by_kind(lines: Sequence[Line]) -> str:
    planted, rows = _of(lines, group="planted"), []
    for kind in dict.fromkeys(line["kind"] for line in planted):
        found = _of(planted, kind=kind)
        what = (
            PLANTED[kind].what
            if kind in PLANTED
            else "six revisions, each 1.04 times the one before, against the anchor"
        )
        sizes = ", ".join(
            f"{size}: {sum(map(_is('flagged'), some))}/{len(some)}"
            for size in _sizes(found)
            for some in [_of(found, size=size)]
        )
        rows.append([kind, what, sizes, _rate(found, _is("flagged"))])
    return (
        "\n## Detection by kind\n\nAll families, with and without a retrain on top; flagged of tried at each true ratio. Where a"
        " strength could not reach the ratio, what it reached is in the rows.\n\n"
        + _table(("kind", "what", "flagged by true ratio", "in all"), rows)
    )


def _naive(lines: Sequence[Line]) -> str:
    benign, planted, rows = _of(lines, group="benign"), _of(lines, group="planted"), []
    for column, words in RULES.items():
        small = [line for line in planted if 0.9 <= float(line["size"]) <= 1.1]  # noqa: PLR2004 - small lifts
        large = [line for line in planted if line not in small]
        rows.append([words, *(_rate(some, _is(column)) for some in (benign, small, large))])
    return (
        "\n## Beside the naive rules, on the same pairs\n\n`share moved 10 %`: any cell's share by more than 10 %. `t-test, BH`: a"
        " paired t-test over users with Benjamini and Hochberg's correction over cells. `drift test`: Jensen-Shannon distance of"
        " shown sources over 0.1. All are counted by any cell.\n\n"
        + _table(("rule", "benign: false alarms", "planted, ratio 0.9 to 1.1", "planted, beyond"), rows)
    )


def _decoys(lines: Sequence[Line]) -> str:
    rows = []
    for kind, what in DECOYS.items():
        found = _of(lines, group="decoy", kind=kind)
        passed = _rate(found, lambda line: line["verdict"] == "pass")
        rows.append(
            [kind, what, _rate(found, lambda line: bool(line["findings"])), _rate(found, _is("flagged")), passed]
        )
    calm = [line for line in _of(lines, group="benign-rebuilds") if line["family"] != REBUILT]
    passed = _rate(calm, lambda line: line["verdict"] == "pass")
    named = _rate(calm, lambda line: bool(line["findings"]))
    rows.append(
        ["none", "honest reseeds with as many rebuilds, NeMig's families", named, _rate(calm, _is("flagged")), passed]
    )
    return "\n## Decoys, with four rebuilds of each side\n\n" + _table(
        ("decoy", "what", "named by a finding", "planted cell flagged", "passed"), rows
    )


def _trained(lines: Sequence[Line]) -> str:
    rows = []
    for kind in TRAINED:
        for size in _sizes(_of(lines, group="trained", kind=kind)):
            found = _of(lines, group="trained", kind=kind, size=size)
            ratios = sorted(float(line["true_ratio"]) for line in found)
            rows.append([kind, size, f"{ratios[0]:.2f} to {ratios[-1]:.2f}", _rate(found, _is("flagged"))])
    return "\n## Trained in\n\nFixed strengths; the ratio is what came of them.\n\n" + _table(
        ("kind", "strength", "true ratio reached", "flagged"), rows
    )


def _rest(lines: Sequence[Line]) -> str:
    seconds = sorted(float(line["seconds"]) for line in lines)
    middle = seconds[len(seconds) // 2] if seconds else 0.0
    listed = "\n".join(f"- {what}" for what in INVISIBLE)
    return f"""
## What slates alone cannot show

{listed}

## Cost

Half of the pairs took less than {middle:.1f} seconds each, training and manipulation included, on a machine that did other work as well.
"""
