# SPDX-License-Identifier: Apache-2.0
"""``policy``: whether a policy can be used, and what it would have said of past revisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import signoff
from service.cli.folder import opened
from service.cli.output import as_text, leave, show

if TYPE_CHECKING:
    from evidence import Json

_FAILED = 1

app = typer.Typer(help="Check a policy, and try it on past revisions.", no_args_is_help=True, rich_markup_mode=None)

_Policy = Annotated[Path, typer.Argument(help="The policy file.")]
_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]
_Format = Annotated[str, typer.Option(help="text or json.")]


@app.command()
def check(
    policy: _Policy,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Read a policy as the gate would: exit 2 with the first thing that is wrong, else its digest and what it asks."""
    found = signoff.read_policy(policy)
    rules = found.rules
    document = {
        "schema": "countersign/policy-check/v1",
        "policy": {"sha256": found.digest},
        "lanes": [lane.name for lane in rules.lanes],
        "requirements": [one.name for one in rules.requirements],
        "expedited": rules.expedited is not None,
    }
    if format == "json":
        show(as_text(document))
        return
    asked = [
        ("approvals", rules.approvals.people, rules.approvals.organizations, f"as {', '.join(rules.approvals.roles)}"),
        *((f"lane {lane.name}", lane.people, lane.organizations, f"when {lane.when}") for lane in rules.lanes),
    ]
    lines = [f"{policy}: sha256:{found.digest}"]
    lines += [f"  {what}: {people} people, {houses} organisations, {when}" for what, people, houses, when in asked]
    lines += [f"  {one.name}: {one.met_if}" for one in rules.requirements]
    if rules.expedited is not None:
        lines.append(f"  expedited: {rules.expedited.hours} hours, sets aside {', '.join(rules.expedited.sets_aside)}")
    show("\n".join(lines))


@app.command()
def simulate(
    policy: _Policy,
    data: _Data = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Say of every past revision what it and the policy in force make of it, each as of its last sign-off.

    Exit 1 if one is judged otherwise.
    """
    from service import simulation  # noqa: PLC0415 - brings the service's database, a second of imports

    tried = signoff.read_policy(policy)
    with opened(data) as context:
        rows = simulation.simulate(context, tried)
    changed = [row for row in rows if row.now != row.then]
    if format == "json":
        document: Json = {
            "schema": "countersign/policy-simulation/v1",
            "policy": {"sha256": tried.digest},
            "revisions": [row.to_json() for row in rows],
        }
        show(as_text(document))
    else:
        show("\n".join([*(row.line for row in rows), f"{len(changed)} of {len(rows)} revisions judged otherwise"]))
    leave(_FAILED if changed else 0)
