# SPDX-License-Identifier: Apache-2.0
"""Two files or folders, listed outside, opened and compared in the confined process."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from confine import Parser
from diffing.artifacts import answers
from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = Path(__file__).resolve().parents[1]
SCRIPT = "artifacts/inside/serve.py"
MAX_FILES = 512
_BATCH_BYTES = 512 << 20
_BATCH = 256
_PACKAGES = ("numpy", "pyarrow", "picklescan", "fickling", "typing_extensions")


@dataclass(frozen=True)
class Compared:
    """Both sides and every tensor; ``tensors`` is empty where a side holds what is not read."""

    base: answers.Opened
    head: answers.Opened
    tensors: tuple[answers.Tensor, ...]


def compare(base: dict[str, Path], head: dict[str, Path], *, progress: Callable[[str], None] | None = None) -> Compared:
    """Compare the files of two sides, each by the name it is shown under.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: a file that is no regular one, or a parser that came to its end.
    """
    names = {side: _named(side, files) for side, files in (("base", base), ("head", head))}
    files = {inside: path for listed in names.values() for inside, _, path in listed}
    with Parser(CODE, SCRIPT, files, packages=_PACKAGES) as parser:
        asked = {
            side: [{"name": shown, "path": Parser.inside(inside)} for inside, shown, _ in listed]
            for side, listed in names.items()
        }
        opened = answers.opening(parser.ask({"open": asked}))
        base_side, head_side = opened.sides["base"], opened.sides["head"]
        if base_side.refused or head_side.refused:
            return Compared(base_side, head_side, ())
        tensors: list[answers.Tensor] = []
        total, done = sum(opened.bytes), 0
        for batch in _batches(opened.bytes):
            tensors += answers.compared(parser.ask({"compare": batch})).tensors
            done += sum(opened.bytes[number] for number in batch)
            if progress is not None and total > _BATCH_BYTES:
                progress(f"compared {done / total:.0%} of {total / 1e9:.1f} GB")
    if len(tensors) != len(opened.bytes):
        raise InputError("the parser left out tensors")
    return Compared(base_side, head_side, tuple(tensors))


def listed(path: Path) -> dict[str, Path]:
    """The files of one side by the name they are shown under: a file's own, or those below a folder.

    Raises:
        InputError: nothing there, a link, something that is no file, a name that cannot be shown, or too many.
    """
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return {_shown(path.name): path}
    if not stat.S_ISDIR(mode):
        raise InputError(f"{path}: neither a file nor a folder")
    found: dict[str, Path] = {}
    for below in sorted(path.rglob("*")):
        name = _shown(below.relative_to(path).as_posix())
        mode = _mode(below)
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise InputError(f"{name}: neither a file nor a folder")
        found[name] = below
        if len(found) > MAX_FILES:
            raise InputError(f"{path}: more than {MAX_FILES} files")
    if not found:
        raise InputError(f"{path}: an empty folder")
    return found


def _mode(path: Path) -> int:
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(f"{ascii(str(path))[1:-1]}: no such file or folder") from error
    if stat.S_ISLNK(mode):
        raise InputError(f"{ascii(path.name)[1:-1]}: a symbolic link is not followed")
    return mode


def _shown(name: str) -> str:
    if not name.isprintable() or len(name) > 500:  # noqa: PLR2004 - what a line can show
        raise InputError(f"{ascii(name)[:120]}: a name that holds control characters, is no text, or is too long")
    return name


def _named(side: str, files: dict[str, Path]) -> list[tuple[str, str, Path]]:
    """Name inside, name shown, path."""
    return [(f"{side}-{number}", shown, path) for number, (shown, path) in enumerate(sorted(files.items()))]


def _batches(sizes: list[int]) -> list[list[int]]:
    """Numbers of pairs to compare in one call: few enough that progress can be told."""
    batches: list[list[int]] = []
    held = 0
    for number, size in enumerate(sizes):
        if not batches or len(batches[-1]) >= _BATCH or held + size > _BATCH_BYTES:
            batches.append([])
            held = 0
        batches[-1].append(number)
        held += size
    return batches
