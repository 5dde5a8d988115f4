# SPDX-License-Identifier: Apache-2.0
"""The service's data folder, opened for one command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.context import Context


@contextmanager
def opened(data: Path | None, *, trusting: bool = False) -> Iterator[Context]:
    """The data folder, closed afterwards; with policy, roots and keys made where they are missing if ``trusting``.

    Imports are within: they take a second that other commands need not wait for.
    """
    from service import trust  # noqa: PLC0415 - as above
    from service.context import Context  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    context = Context.open(Settings(data_dir=data) if data else Settings())
    try:
        if trusting:
            trust.prepare(context)
        yield context
    finally:
        context.close()
