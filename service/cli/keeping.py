# SPDX-License-Identifier: Apache-2.0
"""``backup`` and ``restore``: what the service keeps, kept elsewhere, and proven before it is used again."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.folder import kept
from service.cli.output import as_text, show

if TYPE_CHECKING:
    from service.backups import Kept

_Format = Annotated[str, typer.Option(help="text or json.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    out: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    data: Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Back up data folder and database into one sealed file, also while the service runs. Private keys stay out."""
    from service import backups  # noqa: PLC0415 - a second of imports that other commands need not wait for

    with kept(data) as context:
        _say("backed up", backups.backup(context, out), format)


def restore(
    archive: Annotated[Path, typer.Argument(help="What backup wrote.")],
    keys: Annotated[Path, typer.Option(help="A folder with log.key and service.pem, kept apart from the backup.")],
    data: Annotated[Path | None, typer.Option(help="The folder to make; COUNTERSIGN_DATA_DIR, else ./data.")] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Make a data folder from a backup, and fill the database, if seal, log and proofs all hold."""
    from service import backups  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    _say("restored and proven", backups.restore(Settings(data_dir=data) if data else Settings(), archive, keys), format)


def _say(what: str, kept: Kept, form: str) -> None:
    if form == "json":
        show(as_text({"schema": "countersign/kept/v1", **kept._asdict()}))
        return
    log = f"log {kept.checkpoint.splitlines()[0]} of {kept.entries} entries"
    show(f"{what}: {kept.files} files, {kept.rows} rows, {kept.signoffs} sign-offs, {log}")
