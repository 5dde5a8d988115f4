# SPDX-License-Identifier: Apache-2.0
"""What the process says of itself: one line an event on standard error, as JSON or for people to read.

Every line that is written while a revision is reviewed carries its id: the steps bind it, see ``service.workflows``.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import TYPE_CHECKING, cast

import structlog

if TYPE_CHECKING:
    from typing import TextIO

    from structlog.typing import Processor

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class StandardError(io.TextIOBase):
    """Whatever standard error is now, not at set-up. A line that it does not take is lost, never raised.

    Its reader may be gone, or its disk full: neither may end a review or turn an answer into another one.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging(form: str = "text", level: str = "info") -> None:
    """Set up structlog and the standard library's logging alike; nothing goes to standard output.

    Args:
        form: ``json``, ``text``, or ``auto`` for text on a terminal and JSON elsewhere.
        level: the least severe lines that are written. Libraries say less: warnings, with ``debug`` also their news.
    """
    least = _LEVELS[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered = _rendered(form)
    structlog.configure(
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), *shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: structlog.WriteLogger(cast("TextIO", StandardError())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(StandardError())
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[clean, *rendered], foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared]
        )
    )
    libraries = logging.INFO if least == logging.DEBUG else max(least, logging.WARNING)
    logging.basicConfig(level=libraries, handlers=[handler], force=True)


def _rendered(form: str) -> list[Processor]:
    terminal = False
    with contextlib.suppress(OSError, ValueError, AttributeError):
        terminal = sys.stderr.isatty()
    if form == "text" or (form == "auto" and terminal):
        return [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
