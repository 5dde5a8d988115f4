# SPDX-License-Identifier: Apache-2.0
"""``log``: the transparency log on disk, as anyone can check it who has its verifier key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import signoff
from evidence import InputError, Json, parse_json, sha256_hex
from service.cli.output import as_text, show, write

app = typer.Typer(help="Look at the transparency log, and check it.", no_args_is_help=True, rich_markup_mode=None)

_Log = Annotated[Path, typer.Option("--log", help="The log's folder: checkpoint and tile/.")]
_Roots = Annotated[Path, typer.Option("--roots", help="The roots file that names the log's key.")]
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
    """Recompute the whole log from its entries; exit 1 with the first thing that does not agree."""
    checkpoint = _reader(log, roots).verify()
    if format == "json":
        size, origin = checkpoint.size, checkpoint.origin
        show(as_text({"schema": "countersign/log-verify/v1", "origin": origin, "size": size, "holds": True}))
    else:
        show(f"{checkpoint.origin}: {checkpoint.size} entries, every tile and the signed root agree")


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
