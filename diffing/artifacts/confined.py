# SPDX-License-Identifier: Apache-2.0
"""Two files or folders, listed outside, opened and compared in the confined process."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from confine import Parser
from diffing.artifacts import answers
from diffing.artifacts.inside.words import missing_shard
from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CODE = Path(__file__).resolve().parents[1]
SCRIPT = "artifacts/inside/serve.py"
MAX_FILES = 512
_BATCH_BYTES = 512 << 20
_BATCH = 256
_ALIGNED_UNASKED = 20_000_000  # elements up to which a table is aligned without being asked to
_SAME_AXES = 0.95  # cosine of both sides from which on no axis has turned
_LOOKED_AT = 6  # rows of a table that are told with their neighbours
_TABLES = 8  # tables of which they are
_PACKAGES = ("numpy", "pyarrow", "picklescan", "fickling", "typing_extensions", "faiss-cpu", "packaging")


@dataclass(frozen=True)
class Compared:
    """Both sides and every tensor; ``tensors`` is empty where a side holds what is not read."""

    base: answers.Opened
    head: answers.Opened
    tensors: tuple[answers.Tensor, ...]
    heads: answers.Heads | None = None
    wiring: Mapping[str, answers.Wired] = field(default_factory=dict)


@dataclass(frozen=True)
class Heads:
    """An architecture as declared: the score is the dot product of a row of ``users`` and a row of ``items``."""

    users: str
    items: str
    k: int = 20


@dataclass(frozen=True)
class Beside:
    """What is known beside both sides.

    ``rebuilds`` of base, trained with other random numbers; ``groups`` of rows by name; the table of head ``towards``
    whose mean groups may have moved; the ``ids`` of rows, by their number; the ``heads``; whether the neighbours of
    rows out of line are asked for.
    """

    rebuilds: tuple[dict[str, Path], ...] = ()
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    towards: str | None = None
    ids: Sequence[str] = ()
    base_ids: Sequence[str] = ()
    heads: Heads | None = None
    around: bool = False

    @property
    def wanted(self) -> bool:
        """Whether tables are to be aligned whatever their size."""
        return bool(self.rebuilds or self.groups)


def compare(
    base: dict[str, Path],
    head: dict[str, Path],
    beside: Beside | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Compared:
    """Compare the files of two sides, each by the name it is shown under.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: a file that is no regular one, or a parser that came to its end.
    """
    beside = beside or Beside()
    sides = {"base": base, "head": head} | {f"rebuild-{at}": one for at, one in enumerate(beside.rebuilds)}
    names = {side: inside_names(side, listed) for side, listed in sides.items()}
    files = {inside: path for listed in names.values() for inside, _, path in listed}
    with parser_of(files) as parser:
        asked = {
            side: [{"name": shown, "path": Parser.inside(inside)} for inside, shown, _ in listed]
            for side, listed in names.items()
        }
        opened = answers.opening(parser.ask({"open": asked}))
        base_side, head_side = opened.sides["base"], opened.sides["head"]
        if any(side.refused for side in opened.sides.values()):
            refused = [one for side in opened.sides.values() for one in side.refused]
            return Compared(base_side, head_side.model_copy(update={"refused": refused}), ())
        tensors: list[answers.Tensor] = []
        total, done = sum(opened.bytes), 0
        for batch in _batches(opened.bytes):
            tensors += answers.compared(parser.ask({"compare": batch})).tensors
            done += sum(opened.bytes[number] for number in batch)
            if progress is not None and total > _BATCH_BYTES:
                progress(f"compared {done / total:.0%} of {total / 1e9:.1f} GB")
        if len(tensors) != len(opened.bytes):
            raise InputError("the parser left out tensors")
        for number, tensor in enumerate(tensors):
            if opened.tables[number] and _turned(tensor, beside):
                groups = dict(beside.groups) if _of_these_ids(tensor, beside) else {}
                call = {"pair": number, "groups": groups, "towards": beside.towards}
                aligned = answers.aligned(parser.ask({"align": call}))
                tensors[number] = tensor.model_copy(update={"aligned": aligned})
        for number, rows in _worth_a_look(tensors, opened.alike) if beside.around else ():
            around = answers.around(parser.ask({"around": {"pair": number, "rows": rows}}))
            tensors[number] = tensors[number].model_copy(update={"neighbours": around})
        found = _exposed(parser, beside)
    for tensor in tensors:
        _check_rows(tensor)
    return Compared(base_side, head_side, tuple(tensors), found, opened.wiring)


def _check_rows(tensor: answers.Tensor) -> None:
    """Every row that is told of is one of its side's; those out of line are rows of both.

    Raises:
        InputError: the parser told of another.
    """
    old, new = (_rows(shape) for shape in (tensor.old_shape, tensor.new_shape))
    around = tensor.neighbours or ()
    outlying = [*tensor.outlier_rows, *(tensor.aligned.outlier_rows if tensor.aligned is not None else ()), *around]
    told = (
        (min(old, new), outlying),
        (old, [near for one in around for near in one.before]),
        (new, [near for one in around for near in one.after]),
    )
    if any(one.row >= rows for rows, listed in told for one in listed):
        raise InputError(f"the parser told of a row that {tensor.name} does not have")


def _rows(shape: list[int] | None) -> int:
    return 0 if shape is None else shape[0] if shape else 1


def _worth_a_look(tensors: list[answers.Tensor], tables: list[bool]) -> list[tuple[int, list[int]]]:
    """The tables whose most outlying rows are told with their neighbours, and those rows; by number of the pair."""
    found = []
    for number, tensor in enumerate(tensors):
        rows = tensor.aligned.outlier_rows if tensor.aligned is not None else tensor.outlier_rows
        finite = tensor.non_finite is not None and not tensor.non_finite.old and not tensor.non_finite.new
        if tables[number] and rows and finite:
            found.append((-rows[0].score, number, [row.row for row in rows[:_LOOKED_AT]]))
    return [(number, rows) for _, number, rows in sorted(found)[:_TABLES]]


def _exposed(parser: Parser, beside: Beside) -> answers.Heads | None:
    """What the tables alone would show, where their roles are declared and there are groups to tell of."""
    if beside.heads is None or not beside.groups:
        return None
    call = {
        "users": beside.heads.users,
        "items": beside.heads.items,
        "k": beside.heads.k,
        "groups": dict(beside.groups),
    }
    return answers.heads(parser.ask({"heads": call}))


def _turned(tensor: answers.Tensor, beside: Beside) -> bool:
    """Whether a table is worth aligning: most of its rows moved, and its axes may have turned."""
    if tensor.status != "changed" or tensor.row_shifts is None or tensor.non_finite is None or tensor.non_finite.new:
        return False
    if tensor.non_finite.old or tensor.row_shifts.rows_changed * 2 < tensor.row_shifts.rows:
        return False
    small = prod(tensor.new_shape or []) <= _ALIGNED_UNASKED
    return beside.wanted or (small and (tensor.cosine is None or tensor.cosine < _SAME_AXES))


def _of_these_ids(tensor: answers.Tensor, beside: Beside) -> bool:
    """Whether groups are of this table's rows: where ids are given, it has as many."""
    return not beside.ids or bool(tensor.new_shape and tensor.new_shape[0] == len(beside.ids))


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
    lacking = missing_shard(found)
    if lacking is not None:
        raise InputError(f"{path.name}: the shard {lacking!r} is missing")
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


def parser_of(files: dict[str, Path]) -> Parser:
    """The confined process, not yet started, over files by the names they get inside."""
    return Parser(CODE, SCRIPT, files, packages=_PACKAGES)


def inside_names(side: str, files: dict[str, Path]) -> list[tuple[str, str, Path]]:
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
