# SPDX-License-Identifier: Apache-2.0
"""``model-diff``: what changed inside two models, embeddings or tables."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from diffing import model_diff
from evidence import InputError, Severity
from service.cli import words
from service.cli.output import as_text, leave, say, show

if TYPE_CHECKING:
    from diffing import ModelDiff

_BAD_INPUT = 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("model-diff")(model_diff_command)


def model_diff_command(
    base: Annotated[Path, typer.Argument(help="A model file, or a folder of them.")],
    head: Annotated[Path, typer.Argument(help="The same, of the same format.")],
    *,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="The least severity that fails: info to critical.")
    ] = "high",
) -> None:
    """Compare the weights of two models in a confined process. Exit 1 if a finding weighs --fail-on, 2 if refused."""
    if format not in ("text", "json"):
        raise InputError(f"--format {format[:40]!r} is none of text, json")
    if fail_on not in tuple(severity.value for severity in Severity):
        raise InputError(f"--fail-on {fail_on[:40]!r} is none of {', '.join(severity.value for severity in Severity)}")
    result = model_diff(base, head, progress=say)
    verdict = result.verdict_at(Severity(fail_on))
    document = {**result.to_json(), "verdict": verdict.value}
    if format == "json":
        show(as_text(document))
    elif not result.refused:
        show(words.model_diff_text(document))
    if result.refused:
        say(f"countersign: {_refused(result)}")
        leave(_BAD_INPUT)
    leave(verdict.exit_code)


def _refused(result: ModelDiff) -> str:
    first, more = result.refused[0], len(result.refused) - 1
    return f"{first.path}: {first.reason}" + (f" (and {more} more refused)" if more else "")
