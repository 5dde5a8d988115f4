# SPDX-License-Identifier: Apache-2.0
"""``log witness``: being a witness of logs (c2sp.org/tlog-witness), and asking one."""

from __future__ import annotations

import functools
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, cast

import typer

import signoff
from service.cli.output import say, show, write

app = typer.Typer(help="Be a witness of logs, or ask one.", no_args_is_help=True, rich_markup_mode=None)

_Log = Annotated[Path, typer.Option("--log", help="The log's folder: checkpoint and tile/.")]

_SECONDS = 20.0
_DRAINED = 1 << 20  # bytes of a refused request that are still read


@app.command("key")
def make_key(
    name: Annotated[str, typer.Argument(help="The witness's name, like witness.example/w1.")],
    out: Annotated[Path, typer.Option("--out", help="Where the private key goes.")],
    *,
    ml_dsa_44: Annotated[bool, typer.Option("--ml-dsa-44", help="A key that resists quantum computers.")] = False,
) -> None:
    """Make a witness's key; prints the verifier key for the roots' quorum."""
    kind = signoff.ML_DSA_44_COSIGNATURE if ml_dsa_44 else signoff.ED25519_COSIGNATURE
    cosigner = signoff.Cosigner.generate(name, kind)
    cosigner.save(out)
    show(cosigner.public.vkey)


@app.command()
def serve(
    key: Annotated[list[Path], typer.Option("--key", help="The witness's private key; several are used together.")],
    log: Annotated[list[str], typer.Option("--log", help="The verifier key of a log to witness; as often as needed.")],
    state: Annotated[Path, typer.Option("--state", help="Folder of what was cosigned. Never put an old one back.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any.")] = 8090,
) -> None:
    """Answer add-checkpoint: cosign what begins with everything cosigned before."""
    logs = [signoff.NoteKey.from_vkey(text) for text in log]
    witness = signoff.Witness(state, [signoff.Cosigner.load(path) for path in key], logs)
    with WitnessServer((host, port), witness) as server:
        say(f"witness of {len(log)} logs at http://{host}:{server.server_port}/")
        server.serve_forever()


@app.command("ask")
def ask_witness(
    log: _Log,
    key: Annotated[str, typer.Option("--log-key", help="The log's verifier key.")],
    witness: Annotated[str, typer.Option("--witness", help="The witness's verifier key.")],
    url: Annotated[str, typer.Option("--url", help="Where the witness answers, without add-checkpoint.")],
    out: Annotated[Path | None, typer.Option(help="Write the cosigned checkpoint here.")] = None,
) -> None:
    """Have a witness check and cosign a log's checkpoint; anybody who has the tiles can ask."""
    from service.ledger import post_checkpoint  # noqa: PLC0415 - what the other commands need not wait for

    reader = signoff.LogReader(log, signoff.NoteKey.from_vkey(key))
    post = functools.partial(post_checkpoint, url)
    keys = [signoff.CosignerKey.from_vkey(witness)]
    cosigned = signoff.ask(reader.checkpoint(), keys, post, reader.consistency_proof)
    if out is None:
        show(cosigned.decode())
    else:
        write(out, cosigned)


class WitnessServer(ThreadingHTTPServer):
    """A witness over HTTP."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], witness: signoff.Witness) -> None:
        self.witness = witness
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    """POST /add-checkpoint and GET /<origin hash>/checkpoint. Connections are kept, and dropped when they idle."""

    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # one segment an answer

    def do_POST(self) -> None:
        """Cosign, or say why not."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            self._refuse(404)
        elif not length.isdigit() or int(length) > signoff.REQUEST_LIMIT:
            self._refuse(413 if length.isdigit() else 411)
        else:
            self._answer(self._witness.add_checkpoint(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        """What was cosigned last of a log."""
        parts = self.path.split("/")
        if len(parts) != 3 or parts[2] != "checkpoint":  # noqa: PLR2004 - a hash and a name
            self._refuse(404)
        else:
            self._answer(self._witness.checkpoint(parts[1]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Say nothing: requests are nobody's business but their senders'."""

    @property
    def _witness(self) -> signoff.Witness:
        return cast("WitnessServer", self.server).witness

    def _answer(self, answer: signoff.WitnessAnswer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def _refuse(self, status: int) -> None:
        """Answer and close. What was sent is read first, up to a bound: a socket closed on it would lose the answer."""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        length = self.headers.get("Content-Length", "")
        if length.isdigit():
            self.rfile.read(min(int(length), _DRAINED))
