# SPDX-License-Identifier: Apache-2.0
"""``log``: the transparency log on disk, as anyone can check it who has its verifier key."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import reports
import signoff
from evidence import InputError, Json, parse_json, sha256_hex
from service.cli.output import as_text, show, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.context import Context

app = typer.Typer(help="Look at the transparency log, and check it.", no_args_is_help=True, rich_markup_mode=None)

_LIMIT = 1 << 20

_Log = Annotated[Path, typer.Option("--log", help="The log's folder: checkpoint and tile/.")]
_Roots = Annotated[Path, typer.Option("--roots", help="The roots file that names the log's key.")]
_Data = Annotated[Path, typer.Option("--data", help="The service's data folder.")]
_Format = Annotated[str, typer.Option(help="text or json.")]


@app.command("show")
def show_entries(
    log: _Log,
    roots: _Roots,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """List the log's entries, each checked against the checkpoint."""
    reader = _reader(log, roots)
    entries = [_described(index, entry) for index, entry in enumerate(reader.entries())]
    if format == "json":
        checkpoint = reader.checkpoint().decode()
        show(as_text({"schema": "countersign/log/v1", "checkpoint": checkpoint, "entries": entries}))
    else:
        show("\n".join(f"{entry['index']:>6}  {entry['type']:<10} sha256:{entry['sha256']}" for entry in entries))


@app.command()
def prove(
    index: Annotated[int, typer.Argument(min=0, help="Which entry, from 0.")],
    log: _Log,
    roots: _Roots,
    out: Annotated[Path | None, typer.Option(help="Write the proof to this file.")] = None,
) -> None:
    """Write the offline proof (c2sp.org/tlog-proof) that an entry is in the log."""
    proof = _reader(log, roots).proof(index).text
    if out is None:
        show(proof)
    else:
        write(out, proof)


@app.command()
def verify(
    log: _Log,
    roots: _Roots,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Recompute the whole log from its entries; exit 1 with the first thing that does not agree.

    Builds under a recipe are held against one another: each names the one before, and none follows a lane's stop.
    """
    reader = _reader(log, roots)
    checkpoint, chains = reader.verify(), signoff.BuildChains(signoff.read_roots(roots))
    for index, entry in enumerate(reader.entries()):
        if entry.startswith(b"{"):
            chains.take(index, parse_json(entry, f"log entry {index}"))
    if format == "json":
        size, origin = checkpoint.size, checkpoint.origin
        document = {"schema": "countersign/log-verify/v1", "origin": origin, "size": size, "holds": True}
        show(as_text({**document, "builds": chains.count}))
    else:
        builds = f"; {chains.count} builds follow on one another" if chains.count else ""
        show(f"{checkpoint.origin}: {checkpoint.size} entries, every tile and the signed root agree{builds}")


@app.command()
def check(
    statement: Annotated[Path, typer.Argument(help="The sign-off's DSSE envelope.", metavar="envelope")],
    proof: Annotated[Path, typer.Option("--proof", help="Its .tlog-proof.")],
    roots: Annotated[Path, typer.Option("--roots", help="The roots file: whose keys count, and which log.")],
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Check that a sign-off was signed by whom it names and is in the log; exit 1 if not. Asks no server.

    Whether it still counts, and for what exactly, is for `countersign gate` to say, on the bundle.
    """
    found = signoff.check_recorded(
        signoff.Envelope.read(_bytes(statement)),
        signoff.LogProof.parse(_bytes(proof).decode("utf-8", "replace")),
        signoff.read_roots(roots),
        datetime.now(UTC),
    )
    said, at = found.statement.predicate, found.logged_at
    if format == "json":
        document: dict[str, Json] = {
            "schema": "countersign/log-check/v1",
            "holds": True,
            "decision": said.decision.value,
            "revision": found.statement.revision,
            "reviewer": {"id": found.person.id, "name": found.person.name, "organization": found.person.organization},
            "key": found.key.fingerprint,
            "signed_at": said.signedAt,
            "log": {"origin": found.origin, "index": found.index, "size": found.size},
            "witnessed_at": None if at is None else signoff.format_time(at),
        }
        show(as_text(document))
        return
    seen = "no witness is asked for" if at is None else f"seen by enough witnesses at {at:%Y-%m-%d %H:%M:%S} UTC"
    who = f"{reports.visible(found.person.name)} ({reports.visible(found.person.organization)})"
    show(
        f"{said.decision} by {who}, with {found.key.fingerprint}, at {said.signedAt}\n"
        f"on {found.statement.revision}\n"
        f"entry {found.index} of {found.size} in the log {found.origin}; {seen}"
    )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise InputError(f"{path}: over {_LIMIT} bytes; neither an envelope nor a proof")
    return data


@app.command()
def revoke(
    kind: Annotated[str, typer.Argument(help="statement, key, revision or recipe.")],
    sha256: Annotated[str, typer.Argument(help="Its SHA-256 in hexadecimal; of a key, of its OpenSSH blob.")],
    data: _Data,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    since: Annotated[str | None, typer.Option("--since", help="From when on, as 2026-01-31T12:00:00Z; now.")] = None,
) -> None:
    """Revoke a sign-off, a key, a revision or a recipe: a new revocation list is signed and logged at once."""
    try:
        what = signoff.RevokedKind(kind)
        moment = datetime.now(UTC) if since is None else datetime.fromisoformat(since)
    except ValueError as error:
        raise InputError(f"{kind[:40]!r} since {since!r}: write one of these kinds, and a time") from error
    from service import ledger  # noqa: PLC0415 - what the other commands need not wait for

    with _service(data) as context:
        made = ledger.revoke(context, what, sha256, reason, moment)
    show(f"revoked; the new list is entry {made.proof.index} of the log")


@app.command("revocations")
def issue_revocations(data: _Data) -> None:
    """Log a new revocation list if the last one is a day old; run it at intervals. Says where the newest stands."""
    from service import ledger  # noqa: PLC0415 - as above

    with _service(data) as context:
        made = ledger.revocation_list(context)
    listed = signoff.read_revocations(made.envelope.payload)
    issued = f"{listed.issued_at:%Y-%m-%d %H:%M} UTC"
    show(f"list {listed.number} of {issued}: {len(listed.revoked)} revoked, entry {made.proof.index}")


@app.command()
def compare(data: _Data) -> None:
    """Hold the service's database against its log; exit 1 with the first that differs or is in one only."""
    from service import reckoning  # noqa: PLC0415 - as above

    with _service(data) as context, reckoning.held(context):
        count = reckoning.compare(context)
    show(f"{count} sign-offs and builds, in the database as in the log, and so is all else that is in both")


@contextmanager
def _service(data: Path) -> Iterator[Context]:
    from service import trust  # noqa: PLC0415 - as above
    from service.context import Context  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    if not data.is_dir():
        raise InputError(f"{data}: no such folder; --data takes the service's data folder")
    context = Context.open(Settings(data_dir=data))
    try:
        trust.prepare(context)
        yield context
    finally:
        context.close()


def _reader(log: Path, roots: Path) -> signoff.LogReader:
    path = log / "checkpoint"
    if not path.is_file():
        raise InputError(f"{path}: no such file; --log takes a log's folder")
    known = signoff.read_roots(roots)
    note = path.read_bytes()
    key: signoff.NoteKey | None = known.log(note.decode("utf-8", "replace").split("\n", 1)[0])
    if key is None:
        raise InputError(f"{roots}: names no log of the origin in {path}")
    signoff.open_checkpoint(note, key)
    return signoff.LogReader(log, key)


def _described(index: int, entry: bytes) -> Json:
    document = parse_json(entry, f"log entry {index}")
    kind = document.get("type") if isinstance(document, dict) else None
    return {"index": index, "type": str(kind), "sha256": sha256_hex(entry), "entry": document}
