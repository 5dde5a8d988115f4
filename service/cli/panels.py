# SPDX-License-Identifier: Apache-2.0
"""``panel``: looking after panels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import behavior
from evidence import InputError
from service.cli.output import as_text, say, show
from service.cli.words import label_text, power_text

app = typer.Typer(help="Look after panels.", no_args_is_help=True, rich_markup_mode=None)

_Out = Annotated[Path, typer.Option("--out", help="The new panel's folder; it must not be there yet.")]
_Name = Annotated[str | None, typer.Option(help="The panel's name; default the folder's.")]
_K = Annotated[int, typer.Option("--k", min=1, max=1000, help="How many items people see.")]
_UserId = Annotated[str | None, typer.Option(help="The column with the users' identifiers; default a guess.")]
_ItemId = Annotated[str | None, typer.Option(help="The column with the items' identifiers; default a guess.")]
_Layout = Annotated[str | None, typer.Option(help=f"{', '.join(behavior.LAYOUTS)}; default by the files there are.")]
_Format = Annotated[str, typer.Option(help="text or json.")]


@app.callback()
def _panel() -> None:
    pass


@app.command()
def check(
    panel: Annotated[Path, typer.Argument(help="The panel's folder.")],
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Read a panel with full validation; exit 2 and one line that names file, column and value if it is not valid."""
    as_json, found = _is_json(format), behavior.read_panel(panel)
    notes = [note for label in found.labels for note in label.notes]
    for note in notes:
        say(f"warning: {note}")
    if as_json:
        show(as_text({"schema": "countersign/panel-check/v1", "panel": found.summary(), "warnings": notes}))
    else:
        show("\n".join(f"{name:<8} {value}" for name, value in found.summary().items()))


@app.command("power")
def power_command(
    base_slates: Annotated[Path, typer.Argument(help="What base recommended: Parquet or JSON Lines.")],
    panel: Annotated[Path, typer.Option("--panel", help="The panel's folder.")],
    *,
    base_rebuild: Annotated[
        list[Path] | None, typer.Option(help="What base built anew with another seed recommended; may be repeated.")
    ] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Print the smallest ratio that every cell would show at 80 % power, and how many users would reach the margin."""
    whom = behavior.read_panel(panel)
    rebuilds = [behavior.read_slates(path, whom) for path in base_rebuild or ()]
    document = behavior.power(whom, behavior.read_slates(base_slates, whom), rebuilds).to_json()
    show(as_text(document) if _is_json(format) else power_text(document))


@app.command()
def new(
    items: Annotated[Path, typer.Argument(help="A table of items: .parquet, .csv or .tsv.")],
    users: Annotated[Path, typer.Argument(help="A table of users.")],
    out: _Out,
    *,
    histories: Annotated[Path | None, typer.Option(help="A table of who saw or liked what.")] = None,
    item_id: _ItemId = None,
    user_id: _UserId = None,
    name: _Name = None,
    k: _K = 20,
) -> None:
    """Make a panel from any item and user table: ids guessed, slices and cohorts proposed in a commented panel.toml."""
    ids = behavior.IdColumns(user=user_id, item=item_id)
    _made(behavior.new_panel(items, users, out, histories_file=histories, ids=ids, name=name, k=k), out)


@app.command("import")
def import_command(  # noqa: PLR0913 - one a command-line option
    source: Annotated[Path, typer.Argument(help="The data set's folder, or a table of interactions.")],
    out: _Out,
    *,
    layout: _Layout = None,
    items: Annotated[Path | None, typer.Option(help="With a table of interactions: a table of its items.")] = None,
    users: Annotated[Path | None, typer.Option(help="With a table of interactions: a table of its users.")] = None,
    item_id: _ItemId = None,
    user_id: _UserId = None,
    at_least: Annotated[float | None, typer.Option(help="Keep only ratings from here on as history.")] = None,
    name: _Name = None,
    k: _K = 20,
) -> None:
    """Make a panel from MovieLens, MIND, or a table of interactions."""
    chosen = next((known for known in behavior.LAYOUTS if known == layout), None)
    if layout is not None and chosen is None:
        raise InputError(f"--layout {layout[:40]!r} is none of {', '.join(behavior.LAYOUTS)}")
    made = behavior.import_panel(
        source,
        out,
        layout=chosen,
        beside=behavior.Beside(items=items, users=users),
        ids=behavior.IdColumns(user=user_id, item=item_id),
        at_least=at_least,
        name=name,
        k=k,
    )
    _made(made, out)


@app.command("label")
def label_command(  # noqa: PLR0913 - one a command-line option
    panel: Annotated[Path, typer.Argument(help="The panel's folder.")],
    examples: Annotated[Path, typer.Option(help="A table of texts that somebody labelled.")],
    column: Annotated[str, typer.Option(help="The label's name: a column of the items.")],
    text: Annotated[list[str], typer.Option(help="A column of the items to read; may be repeated.")],
    *,
    example_text: Annotated[
        list[str] | None, typer.Option(help="The examples' columns of text; default as --text, or text.")
    ] = None,
    label: Annotated[str, typer.Option(help="The examples' column that says what is true.")] = "label",
    positive: Annotated[str | None, typer.Option(help="The value of it that is true; default true, or 1.")] = None,
    group: Annotated[
        str | None, typer.Option(help="A column of the examples (outlet, author): quality is judged on unseen ones.")
    ] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="The share of the items that is true, if known; default the examples'.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, max=20, help="How many parts are held out in turn.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Which example is in which fold.")] = 0,
    in_place: Annotated[bool, typer.Option("--in-place", help="Do not keep the items as they were.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write a new panel here and leave this one alone.")] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Learn a soft label from labelled texts, and put it on the panel's items with what is known of its quality."""
    as_json = _is_json(format)
    if in_place and out is not None:
        raise InputError("--in-place and --out: choose one")
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        raise InputError(f"--prevalence {prevalence}: is not between 0 and 1")
    document = behavior.label_panel(
        panel,
        examples,
        column,
        text,
        columns=behavior.ExampleColumns(tuple(example_text or ()), label, positive, group),
        learning=behavior.Learning(folds=folds, seed=seed, prevalence=prevalence),
        out=out,
        in_place=in_place,
    ).model_dump(mode="json", by_alias=True)
    for warning in document["warnings"]:
        say(f"warning: label {column!r}: {warning}")
    show(as_text(document) if as_json else label_text(document))


def _made(panel: behavior.Panel, out: Path) -> None:
    say(f"{out}: read {out / 'panel.toml'}, change what is not meant, then: countersign panel check {out}")
    show("\n".join(f"{name:<8} {value}" for name, value in panel.summary().items()))


def _is_json(form: str) -> bool:
    if form not in {"text", "json"}:
        raise InputError(f"--format {form[:40]!r} is none of text, json")
    return form == "json"
