# SPDX-License-Identifier: Apache-2.0
"""Where the command line writes: results to standard output or a file, words to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

import reports
from evidence import InputError
from service.store import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from evidence import Json


def say(line: str) -> None:
    """A message for a person, on standard error; characters that a terminal would obey are written out."""
    sys.stderr.write(f"{reports.visible(line)}\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """A result, on standard output; what cannot be encoded there is escaped."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.write(b"" if text.endswith("\n") else b"\n")
    sys.stdout.buffer.flush()


def screen(*, whole: bool) -> reports.Screen:
    """The screen that results go to: without colours or an end where it is no terminal, or ``whole`` is asked for."""
    terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size()
    colour = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return reports.Screen(size.columns, size.lines if terminal and not whole else None, colour)


def as_text(document: Json) -> str:
    """One JSON document as text: keys in their order, two spaces, a newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all. InputError if its folder is not there."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder")
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    write_durably(path, data, mode=mode)


def leave(status: int) -> NoReturn:
    """End with this exit status."""
    raise typer.Exit(status)
