# SPDX-License-Identifier: Apache-2.0
"""Our own parsers on hostile files: the parser is trusted code, what it reads is not, and it is held all the same."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from confine._bubblewrap import ARTIFACTS, TREE, python
from confine.limits import Limits
from confine.sandbox import Job, Sandbox
from evidence import InputError, RecommenderError, TooLargeError, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from confine._channel import Channel
    from evidence import Json

PARSER_LIMITS = Limits(
    memory_bytes=2 << 30,
    processes=1,
    cpu_seconds=7200.0,
    start_seconds=120.0,
    call_seconds=3600.0,
    output_bytes=64 << 20,
    file_bytes=512 << 20,
    threads=1,
)


class Parser:
    """A context manager: entering starts ``script`` of ``code`` in the sandbox, with ``files`` read-only beside it.

    The script answers each line of JSON on its standard input with one line of JSON. It sees each file at
    ``/artifacts/<name>``, its own code at ``/tree``, the named distributions, and nothing else; it is ended by the
    first thing it tries that a parser has no need of.

    Args:
        code: a folder of our own modules; read-only inside.
        script: the file of that folder to run.
        files: hostile files by the plain name (letters, digits, '-' and '_') that they get inside.
        packages: distributions installed beside the service that the script imports.
        limits: what it may use up; ``call_seconds`` holds for one answer.

    Raises on entering:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: a file that is not a regular one, or a package that is not installed.
    """

    def __init__(
        self,
        code: Path,
        script: str,
        files: Mapping[str, Path],
        *,
        packages: tuple[str, ...] = ("numpy",),
        limits: Limits = PARSER_LIMITS,
    ) -> None:
        self._code = code
        self._script = script
        self._files = dict(files)
        self._packages = packages
        self._limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="parser-")
        self._sandbox: Sandbox | None = None
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        try:
            links = {name: self._link(name, path) for name, path in self._files.items()}
            command = (*python(), f"{TREE}/{self._script}")
            self._sandbox = Sandbox(Job(self._code, None, command, links, self._packages), self._limits)
            self._channel = self._sandbox.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process and free what was held; closing twice is fine."""
        self._channel = None
        if self._sandbox is not None:
            self._sandbox.close()
        self._folder.cleanup()

    def ask(self, call: Json) -> Json:
        """The parser's answer to one call: well-formed JSON, and nothing else about it is checked here.

        Raises:
            InputError: the parser came to its end, a limit, or did what no parser does; the files are not to be used.
        """
        if self._sandbox is None or self._channel is None:
            raise InputError("the parser is not running")
        try:
            line = json.dumps(call, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
            answer = self._channel.exchange(line, seconds=self._limits.call_seconds, limit=self._limits.output_bytes)
        except RecommenderError as error:
            self._channel = None
            told = self._sandbox.explain(error)
            if told.error_class in {"memory", "output-limit", "timeout"}:
                raise TooLargeError(f"more than can be read within limits: {_words(told)}") from error
            said = self._sandbox.printed().strip().splitlines()
            raise InputError(f"the parser failed: {_words(told)}{f' ({said[-1][:300]})' if said else ''}") from error
        attempted = [attempt.kind for attempt in self._sandbox.attempts]
        if attempted:
            self.close()
            raise InputError(f"the parser was made to try {attempted[0]}: the file is an attack on it")
        return parse_json(answer, "the parser's answer", limit=self._limits.output_bytes)

    def _link(self, name: str, path: Path) -> Path:
        """A link of that plain name to the file, so that its own name does not matter."""
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path.name}: not a regular file")
        link = Path(self._folder.name, name)
        link.symlink_to(path.resolve())
        return link

    @staticmethod
    def inside(name: str) -> str:
        """Where the parser finds the file of that name."""
        return f"{ARTIFACTS}/{name}"


def _words(error: RecommenderError) -> str:
    return str(error).removeprefix(f"{error.error_class}: ")
