# SPDX-License-Identifier: Apache-2.0
"""The service's data folder, opened for one command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.context import Context


@contextmanager
def opened(data: Path | None, *, trusting: bool = False, existing: bool = False) -> Iterator[Context]:
    """The data folder, closed afterwards; with policy, roots and keys made where they are missing if ``trusting``.

    Imports are within: they take a second that other commands need not wait for.

    Raises:
        InputError: ``existing``, and no service has worked there.
    """
    from service import trust  # noqa: PLC0415 - as above
    from service.context import Context  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    settings = Settings(data_dir=data) if data else Settings()
    if existing and not (settings.data / "countersign.sqlite").is_file():
        raise InputError(f"{settings.data}: no service has worked here; --data takes its data folder")
    context = Context.open(settings)
    try:
        if trusting:
            trust.prepare(context)
        yield context
    finally:
        context.close()


@contextmanager
def kept(data: Path | None) -> Iterator[Context]:
    """The data folder of a service that may be running, closed afterwards. Raises as `backups.open_kept`."""
    from service import backups  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    context = backups.open_kept(Settings(data_dir=data) if data else Settings())
    try:
        yield context
    finally:
        context.close()
