# SPDX-License-Identifier: Apache-2.0
"""``countersign``: its commands put together, and what becomes of their errors.

Exit status: 0 pass or done, 1 fail, 2 bad usage or input, 3 inconclusive, 4 the sandbox or a needed service is missing.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from evidence import VERSION, CountersignError
from service.cli import (
    absolutes,
    annexing,
    deciding,
    examining,
    keeping,
    keys,
    logs,
    models,
    outgoing,
    panels,
    policies,
    recipes,
    retaining,
    serving,
    signing,
    submitting,
    witnesses,
)
from service.cli.output import say

BAD_INPUT = 2

app = typer.Typer(
    name="countersign",
    help="Independent review of recommender changes: what changed, what it amplifies, and who vouches for it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (examining, absolutes, models, annexing, signing, deciding, submitting, serving, keeping):
    module.register(app)
logs.app.add_typer(witnesses.app, name="witness")
app.add_typer(logs.app, name="log")
app.add_typer(keys.app, name="keys")
app.add_typer(panels.app, name="panel")
app.add_typer(policies.app, name="policy")
app.add_typer(recipes.app, name="recipe")
app.add_typer(retaining.app, name="retention")
app.add_typer(outgoing.app, name="outbox")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"countersign {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and leave with its exit status."""
    try:
        status = app(standalone_mode=False)
    except CountersignError as error:
        say(f"countersign: {' '.join(str(error).splitlines())}")
        sys.exit(error.exit_code)
    except typer.Abort:
        say("countersign: nothing was done")
        sys.exit(BAD_INPUT)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        say(f"countersign: {' '.join(f'{place}{error.strerror or error}'.splitlines())}")
        sys.exit(BAD_INPUT)
    except Exception as error:
        # Typer keeps its usage errors to itself; they are the ones that can say what is wrong.
        words = getattr(error, "format_message", None)
        if getattr(error, "title", None) == "Settings":  # pydantic's, which is not imported here: it takes its time
            first = error.errors(include_url=False, include_input=False)[0]  # type: ignore[attr-defined]
            say(f"countersign: COUNTERSIGN_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}")
            sys.exit(BAD_INPUT)
        if words is None:
            raise
        say(_usage(words()))
        sys.exit(BAD_INPUT)
    sys.exit(status if isinstance(status, int) else 0)


def _usage(message: str) -> str:
    """One line for a mistake; the help, which is what typer says to no command at all, as it is."""
    return message if "\n" in message else f"countersign: {message} See countersign --help."
