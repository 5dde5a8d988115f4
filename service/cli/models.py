# SPDX-License-Identifier: Apache-2.0
"""``model-diff`` and ``data-diff``: what changed inside two models, or two snapshots of training data."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, cast

import typer

import diffing
import reports
from evidence import InputError, Severity, parse_json
from service.cli import words
from service.cli.output import as_text, leave, say, show, write

_BAD_INPUT = 2
_LONG = 200  # characters of an id


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("model-diff")(model_diff_command)
    app.command("data-diff")(data_diff_command)


def model_diff_command(  # noqa: PLR0913 - each is an option
    base: Annotated[Path, typer.Argument(help="A model file, or a folder of them.")],
    head: Annotated[Path, typer.Argument(help="The same, of the same format.")],
    *,
    rebuild: Annotated[
        list[Path] | None, typer.Option(help="Base trained again with other random numbers; may be given repeatedly.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="A text file of one id a line, for tables of as many rows.")] = None,
    groups: Annotated[
        Path | None, typer.Option(help="JSON of names to lists of ids (of row numbers without --ids).")
    ] = None,
    towards: Annotated[
        str | None, typer.Option(help="The table of head whose mean groups may have moved towards.")
    ] = None,
    heads: Annotated[
        str | None, typer.Option(help="USERS:ITEMS, the tables whose dot product is the score; needs --groups.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file too.")] = None,
    provenance_keys: Annotated[
        Path | None, typer.Option(help="Public keys (PEM) that statements beside head's files must verify with.")
    ] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="The least severity that fails: info to critical.")
    ] = "high",
) -> None:
    """Compare the weights of two models in a confined process. Exit 1 if a finding weighs --fail-on, 2 if refused."""
    _checked_options(format, fail_on)
    names = _ids(ids)
    result = diffing.model_diff(
        base,
        head,
        rebuilds=rebuild or [],
        groups=_groups(groups, names),
        towards=towards,
        ids=names,
        heads=_heads(heads, groups),
        keys=diffing.read_keys(provenance_keys) if provenance_keys else None,
        progress=say,
    )
    verdict = result.verdict_at(Severity(fail_on))
    document = {**result.to_json(), "verdict": verdict.value}
    if html is not None:
        write(html, reports.model_html(document, head.name))
    if format == "json":
        show(as_text(document))
    elif not result.refused:
        show(words.model_diff_text(document))
    if result.refused:
        say(f"countersign: {_refused(result)}")
        leave(_BAD_INPUT)
    leave(verdict.exit_code)


def data_diff_command(  # noqa: PLR0913 - each is an option
    base: Annotated[Path, typer.Argument(help="A table of interactions or items, or a folder of its parts.")],
    head: Annotated[Path, typer.Argument(help="The same, later. Parquet, Arrow, CSV, TSV or JSON lines.")],
    *,
    user: Annotated[str | None, typer.Option(help="The column of users; by default one of a usual name.")] = None,
    item: Annotated[str | None, typer.Option(help="The column of items.")] = None,
    source: Annotated[str | None, typer.Option(help="The column that says whose the items are.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of what is learnt: events, ratings.")] = None,
    time: Annotated[str | None, typer.Option(help="The column of times.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="A column of few values: a slice; several.")] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="The least severity that fails: info to critical.")
    ] = "high",
) -> None:
    """Compare two snapshots of training data in a confined process. Exit 1 if a finding weighs --fail-on."""
    _checked_options(format, fail_on)
    given = {"user": user, "item": item, "source": source, "label": label, "time": time}
    roles = {role: given[role] for role in diffing.ROLES if given[role] is not None}
    result = diffing.data_diff(base, head, roles=cast("dict[str, str]", roles), by=tuple(dict.fromkeys(by or ())))
    verdict = result.verdict_at(Severity(fail_on))
    document = {**result.to_json(), "verdict": verdict.value}
    show(as_text(document) if format == "json" else words.data_diff_text(document))
    leave(verdict.exit_code)


def _checked_options(form: str, fail_on: str) -> None:
    if form not in ("text", "json"):
        raise InputError(f"--format {form[:40]!r} is none of text, json")
    if fail_on not in tuple(severity.value for severity in Severity):
        raise InputError(f"--fail-on {fail_on[:40]!r} is none of {', '.join(severity.value for severity in Severity)}")


def _heads(said: str | None, groups: Path | None) -> diffing.Heads | None:
    if said is None:
        return None
    users, colon, items = said.partition(":")
    if not users or not colon or not items or groups is None:
        raise InputError(f"--heads {said[:80]!r}: name two tables as USERS:ITEMS, and give --groups")
    return diffing.Heads(users, items)


def _ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"--ids {path}: not UTF-8") from error
    wrong = next((at for at, name in enumerate(names, 1) if not name.isprintable() or not name or len(name) > _LONG), 0)
    if wrong or len(set(names)) != len(names):
        raise InputError(f"--ids {path}: {f'line {wrong} is no id' if wrong else 'an id stands there twice'}")
    return names


def _groups(path: Path | None, ids: list[str]) -> dict[str, list[int]]:
    """Row numbers by the name of a group."""
    if path is None:
        return {}
    document = parse_json(path.read_bytes(), f"--groups {path}")
    if not isinstance(document, dict) or not all(isinstance(members, list) for members in document.values()):
        raise InputError(f"--groups {path}: no object of lists")
    if not ids and any(isinstance(one, str) for members in document.values() for one in members):
        raise InputError(
            f"--groups {path}: its members are names: say with --ids which row each is, or list row numbers"
        )
    place: dict[object, int] = {name: row for row, name in enumerate(ids)}
    found: dict[str, list[int]] = {}
    for name, members in document.items():
        rows = [place.get(one) if ids else one for one in members]
        if not name.isprintable() or not all(isinstance(row, int) and row >= 0 for row in rows):
            raise InputError(f"--groups {path}: {name[:40]!r} has a member that is no row")
        found[name] = [row for row in rows if isinstance(row, int)]
    return found


def _refused(result: diffing.ModelDiff) -> str:
    first, more = result.refused[0], len(result.refused) - 1
    return f"{first.path}: {first.reason}" + (f" (and {more} more refused)" if more else "")
