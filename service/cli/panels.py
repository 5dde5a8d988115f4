# SPDX-License-Identifier: Apache-2.0
"""``panel``: looking after panels."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from behavior import read_panel
from service.cli.output import as_text, show

app = typer.Typer(help="Look after panels.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _panel() -> None:
    pass


@app.command()
def check(
    panel: Annotated[Path, typer.Argument(help="The panel's folder.")],
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """Read a panel with full validation; exit 2 and one line that names file, column and value if it is not valid."""
    found = read_panel(panel).summary()
    if format == "json":
        show(as_text({"schema": "countersign/panel-check/v1", "panel": found}))
    else:
        show("\n".join(f"{name:<8} {value}" for name, value in found.items()))
