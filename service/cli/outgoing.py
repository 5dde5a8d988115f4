# SPDX-License-Identifier: Apache-2.0
"""``outbox``: what others are still to be told, what was given up and why, and having it tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.folder import kept
from service.cli.output import as_text, show

app = typer.Typer(
    help="Reports to code hosts and webhooks that wait or were given up.", no_args_is_help=True, rich_markup_mode=None
)

_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]


@app.command("list")
def list_messages(
    data: _Data = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """List what waits and what is dead, newest first, at most 500, each with why the last attempt failed."""
    from service import outbox  # noqa: PLC0415 - a second of imports that other commands need not wait for
    from service.outbox import Fate  # noqa: PLC0415 - as above

    with kept(data) as context:
        found = outbox.listed(context.database, (Fate.WAITING, Fate.DEAD))
    if format == "json":
        messages = [
            {
                "id": one.message_id,
                "state": one.state,
                "destination": one.destination,
                "event": one.event,
                "subject": one.subject,
                "created_at": one.created_at.isoformat(),
                "due_at": one.due_at.isoformat(),
                "attempts": one.attempts,
                "reason": one.reason,
            }
            for one in found
        ]
        show(as_text({"schema": "countersign/outbox/v1", "messages": messages}))
        return
    for one in found:
        reason = f": {one.reason}" if one.reason else ""
        since = f"{one.created_at:%Y-%m-%d %H:%M}"
        show(f"{one.message_id} {one.state} {one.destination} {one.event} since {since}, tried {one.attempts}{reason}")
    if not found:
        show("nothing waits, nothing was given up")


@app.command()
def retry(
    message: Annotated[str | None, typer.Argument(help="A message's id; without one everything that is dead.")] = None,
    data: _Data = None,
) -> None:
    """Have what was given up tried again, or one message now. What a newer one has replaced stays as it is."""
    from service import outbox  # noqa: PLC0415 - as above

    with kept(data) as context:
        count = outbox.again(context.database, message)
    show(f"{count} message{'' if count == 1 else 's'} will be tried again.")
