# SPDX-License-Identifier: Apache-2.0
"""Going out of work gracefully: the steps that run are finished and recorded, none begins any more.

A review that stands between two steps is at a checkpoint already: whoever takes it up goes on with the next one.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Counts the steps that run in this process. Once closed it lets none begin: whoever asks waits for the end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether steps have ceased to begin."""
        return self._closed

    @property
    def running(self) -> int:
        """How many steps run."""
        return self._running

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one step and the record of its outcome. Behind a closed gate this never returns."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let no step begin any more."""
        with self._changed:
            self._closed = True

    def wait(self, seconds: float) -> bool:
        """Wait until no step runs; False if after so many seconds one still does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout=seconds)
