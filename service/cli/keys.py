# SPDX-License-Identifier: Apache-2.0
"""``keys``: whose keys count, and passkeys that wait to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import signoff
from evidence import InputError, canonical, parse_json, sha256_hex
from service.cli.folder import opened
from service.cli.output import as_text, say, show, write

app = typer.Typer(help="Whose keys count, and from when until when.", no_args_is_help=True, rich_markup_mode=None)

_Roots = Annotated[Path, typer.Option("--roots", help="The roots file: whose keys count.")]
_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]


@app.command("list")
def list_keys(
    roots: _Roots,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """List the people of a roots file with their keys."""
    known = signoff.read_roots(roots)
    rows = [
        {
            "person": person.id,
            "organization": person.organization,
            "roles": sorted(person.roles),
            "kind": entry.key.algorithm,
            "fingerprint": entry.key.fingerprint,
            "valid_from": signoff.format_time(entry.valid_from),
            "valid_until": None if entry.valid_until is None else signoff.format_time(entry.valid_until),
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
    show(signoff.allowed_signers(signoff.read_roots(roots), role))


@app.command()
def waiting(data: _Data = None) -> None:
    """List the passkeys that were enrolled in the browser and do not count yet, with their attestation."""
    from service import passkeys  # noqa: PLC0415 - a second of imports that other commands need not wait for

    with opened(data) as context:
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

    with opened(data) as context:
        accepted = passkeys.accept(context, credential)
    show(f"{accepted.fingerprint} counts for {accepted.person_id}")


@app.command("open-session")
def open_session(
    person: Annotated[str, typer.Argument(help="An auditor's, regulator's or administrator's id.")],
    data: _Data = None,
) -> None:
    """Print a link by which somebody whose roles only read can look at everything, once, for twelve hours."""
    from service import trust  # noqa: PLC0415 - as above
    from service.accounts import Accounts  # noqa: PLC0415 - as above
    from service.views import Person  # noqa: PLC0415 - as above

    with opened(data) as context:
        known = trust.roots(context).person(person)
        if known is None:
            raise InputError(f"{context.roots}: knows nobody of the id {person[:80]!r}; add them with a role first")
        if not known.roles <= signoff.READ_ONLY:
            raise InputError(
                f"{person} has a role that does more than read: the service prints such a link at its start"
            )
        role = min(known.roles - {"submitter"}, default="submitter")
        if role == "submitter":
            raise InputError(
                f"{person} is a submitter: pages show the panel; their results are at the code host, and in the API"
            )
        accounts = Accounts(context.database)
        accounts.enrol(Person(known.id, known.name, known.organization, role))
        token = accounts.link(known.id)
        url = context.settings.url
    show(f"{url}/sign-in?token={token}")
    say(f"for {known.name}, {role}; it works once, within 24 hours, while the service runs on this data folder")


@app.command()
def propose(
    roots: Annotated[Path, typer.Argument(help="The roots in force.")],
    changed: Annotated[Path, typer.Argument(help="The same file, edited: people, keys, roles, declarations.")],
    threshold: Annotated[int, typer.Option(min=2, help="How many administrators sign the next update.")] = 2,
    out: Annotated[Path, typer.Option(help="Where to write the update.")] = Path("roots-update.json"),
) -> None:
    """Make an update of the roots out of an edited copy, for administrators to sign.

    A new key without valid_from counts from now on.
    """
    before = roots.read_bytes()
    plan = signoff.parse_roots(before, str(roots)).administration
    document = parse_json(changed.read_bytes(), str(changed))
    if not isinstance(document, dict):
        raise InputError(f"{changed}: not a roots file")
    issued = signoff.format_time(datetime.now(UTC))
    document["administration"] = {
        "version": plan.version + 1 if plan else 1,
        "issued": issued,
        "previous": {"sha256": sha256_hex(before)},
        "threshold": threshold,
    }
    for entry in (key for person in document.get("people", ()) for key in person.get("keys", ())):
        entry.setdefault("valid_from", issued)
    update = signoff.RootsUpdate(canonical(document))
    new = signoff.parse_roots(update.roots, str(changed))
    write(out, update.to_bytes())
    show(f"{out}: roots version {plan.version + 1 if plan else 1}, sha256:{new.digest}; countersign keys sign it")


@app.command("sign")
def sign_update(
    update: Annotated[Path, typer.Argument(help="The update, as keys propose wrote it.")],
    key: Annotated[Path, typer.Option("--key", help="An administrator's OpenSSH private key.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Add an administrator's signature to an update of the roots, after showing what it holds."""
    found = signoff.RootsUpdate.read(update.read_bytes(), str(update))
    new = signoff.parse_roots(found.roots, str(update))
    for person in new.people:
        say(f"{person.id} ({person.organization}): {', '.join(sorted(person.roles))}, {len(person.keys)} keys")
    if not yes and not typer.confirm("Sign these roots?", err=True):
        raise InputError("nothing was signed")
    signed = found.signed(signoff.sign_with_ssh_key(key, found.message))
    write(update, signed.to_bytes())
    show(f"{update}: {len(signed.signatures)} signatures")


@app.command("apply")
def apply_update(
    update: Annotated[Path, typer.Argument(help="The signed update.")],
    data: _Data = None,
) -> None:
    """Put signed roots in force, if enough administrators of the old and of the new signed, and log it."""
    from service import root_changes  # noqa: PLC0415 - as above

    with opened(data) as context:
        new, index = root_changes.apply_update(context, signoff.RootsUpdate.read(update.read_bytes(), str(update)))
    version = new.administration.version if new.administration else 0
    show(f"roots version {version} is in force, log entry {index}")
