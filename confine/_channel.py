# SPDX-License-Identifier: Apache-2.0
"""One line out, one line back, with a deadline and a size limit; whatever the other side does."""

from __future__ import annotations

import fcntl
import os
import select
import time
from contextlib import suppress

from evidence import RecommenderError

_CHUNK = 1 << 20
_WANTED_PIPE_BYTES = 1 << 20


class Channel:
    """The protocol streams of a sandbox, both non-blocking. ``alive`` is a pidfd: readable once the process ended."""

    def __init__(self, requests: int, answers: int, alive: int) -> None:
        self._requests = requests
        self._answers = answers
        self._alive = alive
        for descriptor in (requests, answers):
            os.set_blocking(descriptor, False)
            with suppress(OSError):  # an unprivileged user may be over the soft limit on pipe memory: only slower
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _WANTED_PIPE_BYTES)

    def exchange(self, line: bytes, *, seconds: float, limit: int) -> bytes:
        """Send ``line`` (with its newline) and return the one line that answers it, without newline.

        Raises:
            RecommenderError: ``timeout``, ``output-limit`` (no newline within ``limit`` bytes), ``exited``, or
                ``garbage`` (bytes nobody asked for before or after the answer).
        """
        deadline = time.monotonic() + seconds
        to_send = memoryview(line)
        received = bytearray()
        self._refuse_unasked()
        while not received.endswith(b"\n"):
            to_send = self._step(to_send, received, deadline)
            newline = received.find(b"\n")
            if newline not in (-1, len(received) - 1):
                raise RecommenderError("garbage", "more than one line in answer to one call")
            if len(received) > limit:
                raise RecommenderError("output-limit", f"an answer longer than {limit} bytes")
        if to_send:
            raise RecommenderError("garbage", "an answer before the whole call was read")
        return bytes(received[:-1])

    def _refuse_unasked(self) -> None:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        if any(events & select.POLLIN for _, events in poll.poll(0)):
            raise RecommenderError("garbage", "bytes on the protocol stream that nobody asked for")

    def _step(self, to_send: memoryview, received: bytearray, deadline: float) -> memoryview:
        """Wait until something can be read or written, and do it; returns what is left to send."""
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        poll.register(self._alive, select.POLLIN)
        if to_send:
            poll.register(self._requests, select.POLLOUT)
        left = deadline - time.monotonic()
        ready = dict(poll.poll(left * 1000)) if left > 0 else {}
        if not ready:
            raise RecommenderError("timeout", "no answer within the wall-time limit")
        if self._answers in ready:
            part = self._read()
            if part == b"":
                raise RecommenderError("exited", "it ended before it answered")
            received += part or b""
        elif self._alive in ready:
            raise RecommenderError("exited", "it ended before it answered")
        if self._requests in ready:
            try:
                return to_send[os.write(self._requests, to_send[:_CHUNK]) :]
            except BlockingIOError:
                return to_send
            except BrokenPipeError as error:
                raise RecommenderError("exited", "it closed its input") from error
        return to_send

    def _read(self) -> bytes | None:
        """What is there; empty at the end of the stream, None where there is nothing after all."""
        try:
            return os.read(self._answers, _CHUNK)
        except BlockingIOError:
            return None
