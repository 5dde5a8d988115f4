# SPDX-License-Identifier: Apache-2.0
"""What changed in tree ensembles beside their numbers, and in a graph's operators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffing.artifacts.answers import Forest

# A feature that asks who somebody is: a special case inside the model.
_SPECIAL = re.compile(r"(?:^|_)(?:is|equals?|eq)_?(?:[a-z0-9].*)?$|_is_", re.IGNORECASE)
_WHO = re.compile(r"author|account|source|outlet|publisher|channel|creator|user_?name|party|domain", re.IGNORECASE)
_SHOWN = 20
_SHIFTED = 0.1  # of all gain, by which a feature's share moves


def compact(old: Forest | None, new: Forest | None) -> dict[str, Any]:
    """What of two ensembles differs: trees, features, words, and the importance of features where it moved."""
    before, after = _importance(old), _importance(new)
    moved = sorted({*before, *after}, key=lambda name: (-abs(after.get(name, 0) - before.get(name, 0)), name))
    had, has = set(old.features if old else ()), set(new.features if new else ())
    return {
        "trees": {"old": old.trees if old else None, "new": new.trees if new else None},
        "features_added": sorted(has - had)[:_SHOWN],
        "features_removed": sorted(had - has)[:_SHOWN],
        "words": {
            name: {"old": (old.words if old else {}).get(name), "new": (new.words if new else {}).get(name)}
            for name in sorted({*(old.words if old else {}), *(new.words if new else {})})
            if (old.words if old else {}).get(name) != (new.words if new else {}).get(name)
        },
        "importance": [
            {"feature": name, "old": _rounded(before.get(name, 0.0)), "new": _rounded(after.get(name, 0.0))}
            for name in moved[:_SHOWN]
        ],
    }


def forest_findings(old: Mapping[str, Forest], new: Mapping[str, Forest], path: str) -> Iterator[Finding]:
    """New and vanished features, features that name somebody, objectives, and importance that moved."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if after is None or before == after:
            continue
        yield from _features(before, after, path, name)
        if before is None:
            continue
        for word, said in compact(before, after)["words"].items():
            yield Finding(
                "tensor-changed", Severity.MEDIUM, f"{word} changed in the trees of {path or name}",
                f"From {said['old']} to {said['new']}.", Location(path or name, symbol=word),
                {"name": word, **said}, (path, name, "words", word),
            )  # fmt: skip


def _features(old: Forest | None, new: Forest, path: str, name: str) -> Iterator[Finding]:
    before, after = _importance(old), _importance(new)
    for feature in new.features:
        used = after.get(feature)
        known = old is not None and feature in old.features
        if _asks_who(feature) and used is not None and feature not in before:
            yield Finding(
                "identity-special-case", Severity.HIGH, f"The trees ask who somebody is: {feature}",
                f"It holds {used:.1%} of the gain and is {'newly used' if known else 'a new feature'}.",
                Location(path or name, symbol=feature), {"name": feature, "old": None, "new": _rounded(used)},
                (path, name, feature),
            )  # fmt: skip
    if old is None:
        return
    added, removed = (sorted(set(one) - set(other)) for one, other in (
        (new.features, old.features), (old.features, new.features),
    ))  # fmt: skip
    for what, features in (("added", added), ("removed", removed)):
        if features:
            yield Finding(
                "tensor-changed", Severity.MEDIUM, f"{len(features):,} features {what}: {', '.join(features[:5])}",
                "What the trees are given to split on changed.", Location(path or name, symbol=features[0]),
                {"features": features[:_SHOWN], "count": len(features)}, (path, name, what, *features[:_SHOWN]),
            )  # fmt: skip
    if not (added or removed) and old.features != new.features:
        at = next(at for at, name in enumerate(new.features) if old.features[at] != name)
        yield Finding(
            "tensor-changed", Severity.MEDIUM, f"The features stand in another order from {new.features[at]} on",
            "Trees split by the number of a feature: whoever gives the old order now gets other splits.",
            Location(path or name, symbol=new.features[at]),
            {"name": new.features[at], "old": old.features[at], "new": new.features[at], "number": at},
            (path, name, "order", new.features[at]),
        )  # fmt: skip
    moved = max({*before, *after}, key=lambda one: abs(after.get(one, 0) - before.get(one, 0)), default=None)
    if moved is not None and abs(after.get(moved, 0.0) - before.get(moved, 0.0)) >= _SHIFTED:
        yield Finding(
            "tensor-changed", Severity.LOW, f"The trees rely on {moved} otherwise than before",
            f"Its share of the gain goes from {before.get(moved, 0.0):.1%} to {after.get(moved, 0.0):.1%}.",
            Location(path or name, symbol=moved),
            {"name": moved, "old": _rounded(before.get(moved, 0.0)), "new": _rounded(after.get(moved, 0.0))},
            (path, name, "importance", moved),
        )  # fmt: skip


def operator_findings(
    old: Mapping[str, Mapping[str, int]], new: Mapping[str, Mapping[str, int]], path: str
) -> Iterator[Finding]:
    """Operators that a graph gained or lost."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None or after is None or before == after:
            continue
        changed = sorted(one for one in {*before, *after} if before.get(one, 0) != after.get(one, 0))
        words = ", ".join(f"{one} {before.get(one, 0)} to {after.get(one, 0)}" for one in changed[:_SHOWN])
        yield Finding(
            "tensor-changed", Severity.MEDIUM, f"The graph computes something else: {words}",
            "Operators were added or taken away.", Location(path or name, symbol="graph"),
            {"old": {one: before.get(one, 0) for one in changed}, "new": {one: after.get(one, 0) for one in changed}},
            (path, name, "operators", *changed),
        )  # fmt: skip


def _asks_who(feature: str) -> bool:
    return bool(_WHO.search(feature) and _SPECIAL.search(feature))


def _importance(forest: Forest | None) -> dict[str, float]:
    """Each used feature's share of the gain; of the splits where no gain is told."""
    if forest is None:
        return {}
    total = sum(max(used.gain, 0.0) for used in forest.used.values())
    if total > 0:
        return {name: max(used.gain, 0.0) / total for name, used in forest.used.items()}
    splits = sum(used.splits for used in forest.used.values())
    return {name: used.splits / splits for name, used in forest.used.items()} if splits else {}


def _rounded(share: float) -> float:
    return float(f"{share:.6g}")
