# SPDX-License-Identifier: Apache-2.0
"""``absolute``: one version beside plain rankings."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

import behavior
import reports
from evidence import InputError
from service.cli import words
from service.cli.output import as_text, say, show, write
from service.trees import tree_digest


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("absolute")(absolute_command)


def absolute_command(
    version: Annotated[Path, typer.Argument(help="A version's files, or slates it gave: Parquet or JSON Lines.")],
    panel: Annotated[Path, typer.Option("--panel", help="The panel's folder.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the document to this file too.")] = None,
    format: Annotated[str, typer.Option(help="text, json or html.")] = "text",  # noqa: A002 - the option's name
    unsafe_no_sandbox: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run hostile code unconfined. The evidence is marked unsafe.")
    ] = False,
) -> None:
    """Measure one version against rankings by popularity and by date. Nothing passes or fails."""
    if format not in {"text", "json", "html"}:
        raise InputError(f"--format {format[:40]!r} is none of text, json, html")
    whom = behavior.read_panel(panel)
    if not version.is_dir():
        result = behavior.absolute(whom, behavior.read_slates(version, whom))
    else:
        if unsafe_no_sandbox:
            say("warning: --unsafe-no-sandbox runs the recommender unconfined; no policy accepts this evidence")
        side = behavior.Side(
            version, behavior.locate_artifacts(version, behavior.read_manifest(version)), tree_digest(version)
        )
        result = behavior.absolute_run(whom, side, unsafe_no_sandbox=unsafe_no_sandbox, progress=say)
    document = result.to_json()
    if out is not None:
        write(out, as_text(document))
    show({"json": as_text, "html": reports.absolute_html, "text": words.absolute_text}[format](document))
