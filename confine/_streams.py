# SPDX-License-Identifier: Apache-2.0
"""What leads into a sandbox and out of it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_SECONDS = 20.0  # for bubblewrap and the launcher, before any code under review runs


@dataclass(frozen=True)
class Start:
    """What to start. ``config`` is the launcher's; None runs ``argv`` as it is, unsafe. ``names``: see Filter."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    config: bytes | None
    names: Mapping[int, str]


@dataclass
class Streams:
    """The outer ends of the protocol's two pipes, of what is printed, what the audit hook reports, what bubblewrap
    tells, and of the launcher's control socket. ``inside`` holds the inner ends until the sandbox has them.
    """  # noqa: D205 - one sentence names all six

    requests: int = -1
    answers: int = -1
    printed: int = -1
    reports: int = -1
    information: int = -1
    control: socket.socket | None = None
    inside: dict[str, int] = field(default_factory=dict)

    def open(self) -> None:
        """Make them all."""
        self.inside["requests"], self.requests = os.pipe()
        self.answers, self.inside["answers"] = os.pipe()
        self.printed, self.inside["printed"] = os.pipe()
        self.reports, self.inside["reports"] = os.pipe()
        self.information, self.inside["information"] = os.pipe()
        self.control, inner = socket.socketpair()
        self.control.settimeout(START_SECONDS)
        self.inside["control"] = inner.detach()

    def close_inside(self) -> None:
        """Close the ends that belong to the other side."""
        while self.inside:
            os.close(self.inside.popitem()[1])

    def close(self) -> None:
        """Close everything; closing twice is fine."""
        self.close_inside()
        for name in ("requests", "answers", "printed", "reports", "information"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)
        if self.control is not None:
            self.control.close()
