# SPDX-License-Identifier: Apache-2.0
"""``annex``: the annex of an audit report, out of the reviews on record and the auditor's own file."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - typer reads the annotations
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Literal

import typer

import reports
from evidence import InputError
from service.cli.folder import opened
from service.cli.output import as_text, say, show, write


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("annex")(annex_command)


def annex_command(
    platform: Annotated[str, typer.Argument(help="The platform, as platforms.toml names it.")],
    *,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, UTC.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day, UTC.")],
    engagement: Annotated[
        Path | None, typer.Option(help="The auditor's own part, a TOML file; what is missing is marked.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Leave out what names people, changes, repositories.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of standard output.")] = None,
    format: Annotated[str, typer.Option(help="html or json.")] = "html",  # noqa: A002 - the option's name
    data: Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")] = None,
) -> None:
    """Write the annex of an audit report in the order of Delegated Regulation (EU) 2024/436, Annex I.

    Filled in with what the data folder holds of reviews that arrived in these days.
    """
    from service import annexes  # noqa: PLC0415 - a second of imports that other commands need not wait for

    if format not in {"html", "json"}:
        raise InputError(f"--format {format}: html or json")
    edition: Literal["public", "confidential"] = "public" if public else "confidential"
    given = reports.Engagement() if engagement is None else reports.read_engagement(engagement)
    with opened(data, existing=True) as context:
        record = annexes.record(context, platform, since.date(), until.date())
    document = reports.annex_document(given, record, edition=edition)
    content = as_text(document) if format == "json" else reports.annex_html(document)
    if out is None:
        show(content)
    else:
        write(out, content, mode=0o644 if public else 0o600)
    say(f"{len(record['revisions'])} revisions; {len(document['missing'])} entries are the auditor's to add")
