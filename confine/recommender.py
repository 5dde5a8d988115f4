# SPDX-License-Identifier: Apache-2.0
"""A recommender under review, held in a sandbox: requests in, checked slates out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confine import _protocol
from confine.limits import Limits
from confine.sandbox import Job, Sandbox
from evidence import InputError, RecommenderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from confine._channel import Channel
    from confine.limits import Attempt

REQUESTS_A_CALL = 256  # so that memory and time limits are a call's; fixed, since a recommender could see it
_HELLO_BYTES = 128 << 10  # room for a long traceback
_TOLD_CHARACTERS = 2000

ContextValue = str | int | float | None


@dataclass(frozen=True)
class HistoryEvent:
    """One item a user has seen: when and how, where known."""

    item_id: str
    at: str | None = None
    event: str | None = None


@dataclass(frozen=True)
class Request:
    """One request for one slate. ``history`` is in order, oldest first."""

    id: int
    seed: int
    user_id: str
    history: tuple[HistoryEvent | Mapping[str, str], ...] = ()
    context: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Slate:
    """The ranked items of one request, best first; at most k, none twice. Scores, where given, are finite."""

    id: int
    items: tuple[str, ...]
    scores: tuple[float, ...] | None


class Recommender:
    """A context manager: entering starts the sandbox and loads the recommender, leaving ends every process of it.

    Args:
        tree: the exported tree; read-only inside.
        entrypoint: ``module:function`` in the tree, or None where ``command`` speaks the protocol itself.
        command: the program and its arguments, run in the tree.
        artifacts: files by declared name; ``model`` at ``m/als.npz`` is found as ``model.npz`` by ``load``.
        limits: what it may use up.
        unsafe_no_sandbox: run it as a plain process, with no walls. Evidence made so must be marked (``unsafe``).
        packages: distributions installed beside the service that it may import.

    Raises on entering:
        SandboxMissingError: no working sandbox; nothing under review was run.
        InputError: a tree, artifact or package that cannot be used.
        RecommenderError: it could not be loaded. ``error_class`` is for a submitter, the message for the reviewer only.

    Not checked here: whether items are in the catalogue, and whether slates are long enough.
    """

    def __init__(
        self,
        tree: Path,
        *,
        entrypoint: str | None = None,
        command: tuple[str, ...] | None = None,
        artifacts: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
        unsafe_no_sandbox: bool = False,
        packages: tuple[str, ...] = ("numpy",),
    ) -> None:
        self.unsafe = unsafe_no_sandbox
        self.abilities: frozenset[str] = frozenset()
        self._limits = limits or Limits()
        job = Job(tree, entrypoint, command, dict(artifacts or {}), packages)
        self._sandbox = Sandbox(job, self._limits, unsafe=unsafe_no_sandbox)
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        self._channel = self._sandbox.start()
        try:
            answer = self._call({"hello": 1}, seconds=self._limits.start_seconds, limit=_HELLO_BYTES)
            self.abilities = _protocol.abilities(answer)
        except RecommenderError as error:
            raise self._failed(error) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the sandbox and free what was held. ``attempts`` stays readable."""
        self._channel = None
        self._sandbox.close()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What the kernel saw it attempt and refused. Empty without a sandbox: then nobody looked."""
        return self._sandbox.attempts

    @property
    def reported(self) -> tuple[Attempt, ...]:
        """What Python's audit hook reported from inside. Adds detail, proves nothing: hostile code can forge it."""
        return self._sandbox.reported

    def printed(self) -> str:
        """The end of what it printed. For the reviewer only: hostile code chose it, and panel data may be in it."""
        return self._sandbox.printed()

    def recommend(self, requests: Sequence[Request], k: int) -> list[Slate]:
        """One slate for each request, in their order, asked for in calls of at most 256 requests.

        Raises:
            RecommenderError: it failed, or its answer is not what the protocol says. The sandbox has been ended.
            InputError: ``k`` below 1, a repeated request id, or a request JSON cannot carry.
        """
        if self._channel is None:
            raise RecommenderError("exited", "the recommender is not running: not entered, or ended after an error")
        if k < 1:
            raise InputError(f"k is {k}; ask for at least one item")
        if len({request.id for request in requests}) != len(requests):
            raise InputError("two requests have the same id")
        return [slate for chunk in _chunks(requests) for slate in self._recommend(chunk, k)]

    def _recommend(self, requests: Sequence[Request], k: int) -> list[Slate]:
        plain = [_plain(request) for request in requests]
        limit = min(self._limits.output_bytes, _protocol.largest_answer(len(requests), k))
        try:
            answer = self._call(
                {"recommend": {"k": k, "requests": plain}}, seconds=self._limits.call_seconds, limit=limit
            )
            checked = _protocol.slates(answer, [request.id for request in requests], k)
        except RecommenderError as error:
            raise self._failed(error) from error
        return [Slate(*slate) for slate in checked]

    def _call(self, call: object, *, seconds: float, limit: int) -> bytes:
        try:
            line = json.dumps(call, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        except (TypeError, ValueError) as error:
            raise InputError(f"a request that JSON cannot carry: {error}") from error
        if self._channel is None:
            raise RecommenderError("exited", "the recommender is not running")
        return self._channel.exchange(line, seconds=seconds, limit=limit)

    def _failed(self, error: RecommenderError) -> RecommenderError:
        """The error with its real reason and the end of what was printed; everything of the sandbox is ended."""
        self._channel = None
        error = self._sandbox.explain(error)
        printed = self._sandbox.printed().strip()
        if not printed:
            return error
        words = str(error).removeprefix(f"{error.error_class}: ")
        return RecommenderError(error.error_class, f"{words} | printed: {printed[-_TOLD_CHARACTERS:]}")


def _chunks(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    for first in range(0, len(requests), REQUESTS_A_CALL):
        yield requests[first : first + REQUESTS_A_CALL]


def _plain(request: Request) -> dict[str, object]:
    """The protocol's form of a request."""
    return {
        "id": request.id,
        "seed": request.seed,
        "user_id": request.user_id,
        "history": [_event(event) for event in request.history],
        "context": dict(request.context),
    }


def _event(event: HistoryEvent | Mapping[str, str]) -> dict[str, str]:
    if not isinstance(event, HistoryEvent):
        return dict(event)
    plain = {"item_id": event.item_id}
    if event.at is not None:
        plain["at"] = event.at
    if event.event is not None:
        plain["event"] = event.event
    return plain
