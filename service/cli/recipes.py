# SPDX-License-Identifier: Apache-2.0
"""``recipe``: what people sign once for the builds of a machine that retrains, and the lanes that countersign them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

import signoff
from evidence import InputError, Severity, canonical, parse_json
from service.cli.folder import opened
from service.cli.output import as_text, say, show, write

app = typer.Typer(
    help="Recipes for builds of machines that retrain, and their lanes.", no_args_is_help=True, rich_markup_mode=None
)

_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]
_Format = Annotated[str, typer.Option(help="text or json.")]


@app.command()
def check(
    recipe: Annotated[Path, typer.Argument(help="A recipe's file, or the bundle of a build.")],
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Read a recipe as the gate would: exit 2 with the first thing that is wrong, else its digest and bounds."""
    document = parse_json(recipe.read_bytes(), str(recipe))
    if isinstance(document, dict) and document.get("schema") == signoff.BUNDLE_SCHEMA:
        build = document.get("build")
        if not isinstance(build, dict):
            raise InputError(f"{recipe}: the bundle of a revision that is no build; it has no recipe")
        document = build.get("recipe")
    if not isinstance(document, dict):
        raise InputError(f"{recipe}: not a recipe")
    found = signoff.read_recipe(document)
    if format == "json":
        show(as_text({"schema": "countersign/recipe-check/v1", "digest": found.digest, "recipe": found.document}))
        return
    show(f"{found.digest}\n{found.words}")


@app.command()
def lane(
    name: Annotated[str, typer.Argument(help="The lane: lower-case letters, digits and hyphens.")],
    data: _Data = None,
) -> None:
    """Make a lane's key, good for builds under a recipe and nothing else, and put it into the roots file."""
    from service import recipes  # noqa: PLC0415 - a second of imports that other commands need not wait for

    with opened(data, trusting=True) as context:
        key, known = recipes.make_lane(context, name)
    if not known:
        say("the roots are signed by administrators: put this key under build_lanes, then countersign keys propose")
    show(key.public.line)


@app.command()
def new(  # noqa: PLR0913, PLR0917 - one parameter an option
    change: Annotated[int, typer.Option(help="The change whose revision builds are held against.")],
    revision: Annotated[int, typer.Option(help="The revision's number, reviewed.")],
    lane: Annotated[str, typer.Option(help="The lane that countersigns; countersign recipe lane makes one.")],
    artifact: Annotated[
        list[str],
        typer.Option("--artifact", help="NAME=PATH that builds may change, several."),
    ],
    ratio: Annotated[float, typer.Option(min=1, max=10, help="The most that a primary cell's ratio may be.")],
    severity: Annotated[str, typer.Option(help="The worst finding that a build may have.")] = "low",
    builds: Annotated[int, typer.Option(min=1, help="How many builds.")] = 500,
    interval_hours: Annotated[int, typer.Option(min=1, help="For how long the lane may lie still.")] = 48,
    days: Annotated[int, typer.Option(min=1, max=366, help="For how many days it counts.")] = 30,
    contract: Annotated[str | None, typer.Option(help="The path of the data contract in the repository.")] = None,
    summary: Annotated[str | None, typer.Option(help="The path of each build's summary of its data.")] = None,
    bound: Annotated[
        list[str] | None, typer.Option("--bound", help="NAME=LEAST:MOST of a figure in the summary, several.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the recipe here too.")] = None,
    data: _Data = None,
) -> None:
    """Propose a recipe on a reviewed revision. It counts once people sign it on that revision's sign-off page."""
    if severity not in tuple(one.value for one in Severity):
        raise InputError(f"--severity {severity[:40]!r} is none of {', '.join(Severity)}")
    terms = signoff.Terms(
        artifacts=dict(_artifact(one) for one in artifact),
        ratio=round(ratio * signoff.WHOLE_RATIO),
        severity=Severity(severity),
        builds=builds,
        interval_hours=interval_hours,
        life=timedelta(days=days),
        summary=summary,
        bounds=tuple(_bound(one) for one in bound or ()),
    )
    from service import recipes  # noqa: PLC0415 - as above

    with opened(data, trusting=True) as context:
        found = recipes.propose(context, change, revision, lane=lane, terms=terms, contract=contract)
    if out is not None:
        write(out, canonical(found.document))
    say(found.words)
    show(found.digest)


@app.command("list")
def list_recipes(
    data: _Data = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """List the recipes with their lanes, and whether builds are countersigned under them."""
    from service import recipes  # noqa: PLC0415 - as above

    with opened(data, trusting=True) as context:
        rows = [
            {
                "digest": held.row.digest,
                "lane": held.recipe.lane.id,
                "repository": held.recipe.repository,
                "standing": standing.value,
                "stopped": held.row.stop_reason,
                "builds": last.number if (last := recipes.last_build(context, held.row.digest)) else 0,
                "of": held.recipe.builds,
                "expires_at": held.recipe.expires_at,
            }
            for held, standing in recipes.every(context)
        ]
    if format == "json":
        show(as_text({"schema": "countersign/recipes/v1", "recipes": rows}))
        return
    lines = [
        f"{row['digest']}  {row['lane']}  {row['repository']}  {row['builds']} of {row['of']} builds, {row['standing']}"
        for row in rows
    ]
    ends = [f": {row['stopped']}" if row["stopped"] else f", until {row['expires_at']}" for row in rows]
    show("\n".join(map("".join, zip(lines, ends, strict=True))) or "no recipes")


@app.command()
def stop(
    recipe: Annotated[str, typer.Argument(help="The recipe's digest, sha256:…")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    data: _Data = None,
) -> None:
    """Stop a recipe's lane: no build is countersigned any more, and those logged before still count."""
    from service import builds, recipes  # noqa: PLC0415 - as above

    with opened(data, trusting=True) as context:
        builds.stop(context, recipes.find(context, recipe), reason)
        index = recipes.find(context, recipe).row.stop_index
    show(f"stopped, log entry {index}")


def _artifact(said: str) -> tuple[str, str | None]:
    name, equals, path = said.partition("=")
    if not name or not equals:
        raise InputError(f"--artifact {said[:80]!r}: write NAME=PATH, as in countersign.toml")
    return name, path or None


def _bound(said: str) -> tuple[str, int, int]:
    name, _, limits = said.partition("=")
    least, _, most = limits.partition(":")
    try:
        return name, int(least), int(most)
    except ValueError as error:
        raise InputError(f"--bound {said[:80]!r}: write NAME=LEAST:MOST, whole numbers") from error
