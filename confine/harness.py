# SPDX-License-Identifier: Apache-2.0
"""The harness: speaks the protocol for a recommender written in Python. Standard library only, one file.

It runs inside the sandbox, in the same process as hostile code. Nothing it says is believed by the other side.
Protocol (version 1, see the formats guide): one JSON object a line; ``hello`` loads the recommender and answers with
its abilities; ``recommend`` answers with slates; whatever is raised becomes ``{"error": …}``.

Started as ``python harness.py CONFIG`` with CONFIG a JSON object: ``entrypoint``, ``tree``, ``artifacts``, and
``reports`` (a descriptor for the audit hook's lines).
"""

import contextlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ABILITIES = ("recommend", "update", "add_items", "score", "rebuild")
MAX_REPORTS = 500
_WATCHED = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.system",
    "os.fork",
)


class _NotFoundError(Exception):
    """The entry point names a module or attribute that does not exist."""


def _claim_protocol() -> tuple[Any, Any]:
    """The protocol streams, moved away so that a stray ``print`` ends in the captured errors instead."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return requests, answers


def _report_through(descriptor: int) -> None:
    """Write one line for each watched audit event, at most MAX_REPORTS: detail for a reader, never evidence."""
    left = MAX_REPORTS

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _WATCHED and left > 0:
            left -= 1
            with contextlib.suppress(OSError, ValueError, RecursionError):
                line = json.dumps({"event": event, "detail": repr(arguments)[:200]}) + "\n"
                os.write(descriptor, line.encode("ascii"))

    sys.addaudithook(hook)


def _exists(module: str) -> bool:
    """Whether there is such a module; its parents are imported already."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent is no package
        return False


def _find(entrypoint: str) -> Callable[[Path], Any]:
    """The function an entry point ``module:attribute`` names."""
    module, _, attribute = entrypoint.partition(":")
    parent = ""
    for part in module.split("."):
        name = f"{parent}.{part}" if parent else part
        if name not in sys.modules and not _exists(name):
            raise _NotFoundError(f"no module {name!r} in the tree")
        importlib.import_module(name)
        parent = name
    found: Any = sys.modules[module]
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _NotFoundError(f"module {module!r} has no {attribute!r}")
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can carry
    """What ``json`` does not know: numpy arrays and numbers, and any other iterable."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"a {type(value).__name__} among the slates")
    return list(value)


def _slates(requests: list[dict[str, Any]], returned: object) -> list[dict[str, Any]]:
    """The returned slates with the ids of their requests: the n-th slate answers the n-th request."""
    slates = []
    for number, slate in enumerate(_plain(returned)):
        request_id = requests[number]["id"] if number < len(requests) else None
        entry = {"id": request_id, **slate} if isinstance(slate, dict) else {"id": request_id, "items": _plain(slate)}
        slates.append(entry)
    return slates


def _failure(error: BaseException, phase: str) -> dict[str, Any]:
    """An error as the protocol tells it; the traceback is for the reviewer only."""
    told = {
        "type": type(error).__name__,
        "message": str(error)[:2000],
        "id": None,
        "phase": "find" if isinstance(error, _NotFoundError) else phase,
        "errno": error.errno if isinstance(error, OSError) else None,
        "file": isinstance(error, OSError) and error.filename is not None,
        "traceback": "".join(traceback.format_exception(error))[-8000:],
    }
    return {"error": told}


class _Harness:
    """One recommender and the calls it answers."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._recommender: Any = None

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        phase = "load" if "hello" in call else "call"
        try:
            if "hello" in call:
                return self._hello()
            return self._recommend(call["recommend"])
        except Exception as error:  # noqa: BLE001 - whatever it raises is told, and the next call is served
            return _failure(error, phase)

    def _hello(self) -> dict[str, Any]:
        if self._recommender is None:
            load = _find(self._config["entrypoint"])
            self._recommender = load(Path(self._config["artifacts"]))
        abilities = [name for name in ABILITIES if callable(getattr(self._recommender, name, None))]
        return {"hello": 1, "abilities": abilities}

    def _recommend(self, call: dict[str, Any]) -> dict[str, Any]:
        requests = call["requests"]
        return {"slates": _slates(requests, self._recommender.recommend(requests, call["k"]))}


def main() -> None:
    """Serve calls until the other side closes the stream."""
    config = json.loads(sys.argv[1])
    sys.argv[:] = [""]
    requests, answers = _claim_protocol()
    sys.path.insert(0, config["tree"])
    _report_through(config["reports"])
    harness = _Harness(config)
    for line in requests:
        answer = harness.answer(json.loads(line))
        try:
            text = json.dumps(answer, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            text = json.dumps(_failure(error, "call")).encode()
        answers.write(text + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
