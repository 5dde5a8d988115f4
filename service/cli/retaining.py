# SPDX-License-Identifier: Apache-2.0
"""``retention``: what evidence has been kept for long enough, what is held beyond that, and having it removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.folder import kept
from service.cli.output import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.retention import Due

app = typer.Typer(help="How long evidence is kept, and legal holds.", no_args_is_help=True, rich_markup_mode=None)

_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]
_Change = Annotated[int, typer.Argument(help="The change's number, as in its address.")]


@app.command("show")
def show_due(data: _Data = None) -> None:
    """List the legal holds, and the revisions whose evidence `apply` would remove."""
    from service import retention  # noqa: PLC0415 - a second of imports that other commands need not wait for
    from service.arrivals import now  # noqa: PLC0415 - as above

    with kept(data) as context:
        for one in retention.holds(context):
            show(f"held: change {one.change_id} since {one.since:%Y-%m-%d}: {one.reason}")
        _list(retention.due(context, now()), "due")


@app.command()
def hold(
    change: _Change,
    reason: Annotated[str, typer.Option(help="Why, for whoever releases it.")],
    data: _Data = None,
) -> None:
    """Let nothing of a change be removed until it is released."""
    from service import retention  # noqa: PLC0415 - as above
    from service.arrivals import now  # noqa: PLC0415 - as above

    with kept(data) as context:
        retention.hold(context, change, reason, now())
    show(f"held: change {change}")


@app.command()
def release(change: _Change, data: _Data = None) -> None:
    """End a hold."""
    from service import retention  # noqa: PLC0415 - as above

    with kept(data) as context:
        retention.release(context, change)
    show(f"released: change {change}")


@app.command()
def apply(data: _Data = None) -> None:
    """Remove the evidence that has been kept for COUNTERSIGN_RETENTION_YEARS and is not held."""
    from service import retention  # noqa: PLC0415 - as above
    from service.arrivals import now  # noqa: PLC0415 - as above

    with kept(data) as context:
        _list(retention.remove(context, now()), "removed")


def _list(every: Sequence[Due], word: str) -> None:
    for one in every:
        show(f"{word}: change {one.change_id}, revision {one.n}: {len(one.documents)} documents")
    if not every:
        show(f"{word}: nothing")
