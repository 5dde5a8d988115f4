# SPDX-License-Identifier: Apache-2.0
"""``keys``: whose keys count, and passkeys that wait to."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import as_text, show
from service.settings import Settings
from signoff import allowed_signers, format_time, read_roots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.context import Context

app = typer.Typer(help="Whose keys count, and from when until when.", no_args_is_help=True, rich_markup_mode=None)

_Roots = Annotated[Path, typer.Option("--roots", help="The roots file: whose keys count.")]
_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]


@app.command("list")
def list_keys(
    roots: _Roots,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """List the people of a roots file with their keys."""
    known = read_roots(roots)
    rows = [
        {
            "person": person.id,
            "organization": person.organization,
            "roles": sorted(person.roles),
            "kind": entry.key.algorithm,
            "fingerprint": entry.key.fingerprint,
            "valid_from": format_time(entry.valid_from),
            "valid_until": None if entry.valid_until is None else format_time(entry.valid_until),
        }
        for person in known.people
        for entry in person.keys
    ]
    if format == "json":
        show(as_text({"schema": "countersign/keys/v1", "roots": {"sha256": known.digest}, "keys": rows}))
        return
    lines = [f"{row['person']}  {row['fingerprint']}  {row['kind']}  from {row['valid_from']}" for row in rows]
    ends = [f"  until {row['valid_until']}" if row["valid_until"] else "" for row in rows]
    show("\n".join("".join(pair) for pair in zip(lines, ends, strict=True)) or "no keys")


@app.command("allowed-signers")
def allowed_signers_command(
    roots: _Roots,
    role: Annotated[str, typer.Option(help="Only people with this role.")] = "reviewer",
) -> None:
    """Write the people as OpenSSH's allowed_signers, for stock ssh-keygen -Y verify -n countersign."""
    show(allowed_signers(read_roots(roots), role))


@app.command()
def waiting(data: _Data = None) -> None:
    """List the passkeys that were enrolled in the browser and do not count yet, with their attestation."""
    from service import passkeys  # noqa: PLC0415 - a second of imports that other commands need not wait for

    with _opened(data) as context:
        found = [one for one in passkeys.enrolled(context) if not one.counts]
    show(
        "\n".join(
            f"{one.credential_id}  {one.person_id}  {one.fingerprint}  {one.authenticator}, {one.attestation}"
            for one in found
        )
        or "none"
    )


@app.command()
def accept(
    credential: Annotated[str, typer.Argument(help="The passkey, as its owner's page and keys waiting name it.")],
    data: _Data = None,
) -> None:
    """Let a passkey count: put its key into the roots file, valid from now on."""
    from service import passkeys  # noqa: PLC0415 - as above

    with _opened(data) as context:
        accepted = passkeys.accept(context, credential)
    show(f"{accepted.fingerprint} counts for {accepted.person_id}")


@contextmanager
def _opened(data: Path | None) -> Iterator[Context]:
    from service.context import Context  # noqa: PLC0415 - as above

    context = Context.open(Settings(data_dir=data) if data else Settings())
    try:
        yield context
    finally:
        context.close()
