# SPDX-License-Identifier: Apache-2.0
"""unsafe-artifact and opaque-artifact; and what is said of files that no facts are read from."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from diffing._kinds import FileKind, What, excuse
from diffing.changes import NotAnalysed
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from diffing._content import Change, Side


class Verdicts(NamedTuple):
    """What a file without facts comes to."""

    findings: tuple[Finding, ...] = ()
    not_analysed: tuple[NotAnalysed, ...] = ()


_REASONS = {
    What.WEIGHTS: ("weights", "model weights: not opened"),
    What.DEPENDENCY: ("dependency", "dependencies of a form that is not read"),
    What.MEDIA: ("media", "binary media"),
}


def without_facts(change: Change, kind: FileKind) -> Verdicts:
    """Findings and reasons for a file of a kind that facts are not read from."""
    if kind.what is What.UNSAFE:
        return _artifact(
            change,
            "unsafe-artifact",
            f"{kind.title} can run code when it is loaded and cannot be compared safely",
            "unsafe",
        )
    if kind.what is What.LFS:
        return _artifact(
            change, "opaque-artifact", "a Git LFS pointer moved: its content is not in the repository", "binary"
        )
    if kind.what is What.BINARY:
        excused = excuse(change.path)
        if excused:
            return Verdicts((), (NotAnalysed(change.path, f"{excused}: {kind.title}", excused),))
        return _artifact(change, "opaque-artifact", "a binary file of no known format", "binary")
    if kind.what is What.LANGUAGE:
        excused = excuse(change.path)
        known = (
            f"{kind.title}: no grammar for it in this version"
            if kind.title != "unknown" and not excused
            else kind.title
            if excused
            else "a text file of no known language"
        )
        return Verdicts(
            (), (NotAnalysed(change.path, f"{excused}: {known}" if excused else known, excused or "language"),)
        )
    category, reason = _REASONS[kind.what]
    return Verdicts((), (NotAnalysed(change.path, reason, category),))


def _artifact(change: Change, rule: str, reason: str, category: str) -> Verdicts:
    side = change.new or change.old
    if change.new is None:
        return Verdicts((), (NotAnalysed(change.path, f"removed; {reason}", category),))
    evidence = {"old": _named(change.old), "new": _named(change.new), "size": side.size if side else 0}
    title = (
        f"{'New' if change.old is None else 'Changed'} file that cannot be reviewed: {change.path.rpartition('/')[2]}"
    )
    finding = Finding(
        rule,
        Severity.HIGH,
        title,
        f"{reason[0].upper()}{reason[1:]}. Submit it in a data-only format that can be compared.",
        Location(change.path),
        evidence,
        (change.path, change.new.object_id),
    )
    return Verdicts((finding,), (NotAnalysed(change.path, reason, category),))


def special_entry(change: Change) -> Verdicts:
    """Findings and reasons for symlinks and submodules."""
    sides = [side for side in (change.old, change.new) if side is not None]
    if any(side.kind == "submodule" for side in sides):
        return _submodule(change)
    new = change.new
    if new is None or new.kind != "symlink":
        return Verdicts()
    target = (new.content or b"").decode("utf-8", "backslashreplace")
    if _leads_out(change.path, target) or new.content is None:
        finding = Finding(
            "opaque-artifact",
            Severity.HIGH,
            f"Symbolic link out of the tree: {change.path}",
            f"It points to {target[:200]!r}.",
            Location(change.path),
            {"old": None, "new": target[:200]},
            (change.path, target),
        )
        return Verdicts(
            (finding,), (NotAnalysed(change.path, "a symbolic link that leads out of the tree", "symlink"),)
        )
    return Verdicts()


def _submodule(change: Change) -> Verdicts:
    old, new = (_named(side) for side in (change.old, change.new))
    moved = f"a submodule pointer moved from {old or 'nothing'} to {new or 'nothing'}"
    entry = NotAnalysed(change.path, f"{moved}: its content is another repository", "submodule")
    if new is None:
        return Verdicts((), (entry,))
    finding = Finding(
        "opaque-artifact",
        Severity.HIGH,
        f"Submodule moved: {change.path}",
        f"{moved[0].upper()}{moved[1:]}; what it brings is not part of this review.",
        Location(change.path),
        {"old": old, "new": new},
        (change.path, new),
    )
    return Verdicts((finding,), (entry,))


def _leads_out(path: str, target: str) -> bool:
    if target.startswith("/") or "\0" in target:
        return True
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return f"{resolved}/".startswith(("../", ".git/"))


def _named(side: Side | None) -> str | None:
    return side.object_id if side else None
