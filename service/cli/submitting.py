# SPDX-License-Identifier: Apache-2.0
"""``submit``: for CI. Sends a change to a review service, and can wait for its verdict."""

from __future__ import annotations

import os
import re
import subprocess
import time
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import confine
from evidence import AuthenticationError, InputError, Json, SandboxMissingError, Verdict
from service.cli.output import as_text, leave, say, show

if TYPE_CHECKING:
    import httpx2

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_REMOTE = re.compile(r"[:/](?P<name>[A-Za-z0-9._-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?$")
_TIMEOUT = 30.0
_POLL_SECONDS = 2.0
_FAILED = 1
_UNAUTHORIZED = 401
_SERVER_ERROR = 500
_FINAL = frozenset({"ready", "signed", "rejected", "revoked", "expired", "failed", "superseded", "outside"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit)


def submit(  # noqa: PLR0913 - one parameter an option
    repo: Annotated[str, typer.Argument(help="A local repository, or the name that the server knows it by.")],
    base: Annotated[str, typer.Argument(help="Where the change starts, on the branch it is to go to.")],
    head: Annotated[str, typer.Argument(help="What is proposed; the server must be able to fetch it.")],
    *,
    server: Annotated[str, typer.Option(help="The service's address.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait: exit 0 pass, 1 fail, 3 inconclusive.")] = False,
    change: Annotated[str | None, typer.Option(help="Name of the proposal; a new head is its next revision.")] = None,
    title: Annotated[str | None, typer.Option(help="By default the head commit's first line.")] = None,
    target: Annotated[str, typer.Option(help="The branch it is to go to.")] = "main",
    maker: Annotated[
        list[str] | None,
        typer.Option(help="Who pushed it, launched its training or supplied artifacts, as 'Name <address>'; several."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the verdict.")] = 3600,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """Send a change for review. COUNTERSIGN_TOKEN is the platform's token, or the one that the CI signs for the job."""
    body = _submission(repo, base, head)
    body["target_ref"] = f"refs/heads/{target}"
    body |= {name: value for name, value in (("change", change), ("title", title)) if value is not None}
    if maker:
        body["makers"] = [_maker(text) for text in maker]
    with _client(server) as client:
        sent = _ask(client, "POST", "/api/v1/changes", body)
        path = f"/api/v1/changes/{sent['change']}/revisions/{sent['revision']}"
        say(f"{sent['status']}: change {sent['change']}, revision {sent['revision']}")
        document = _waited(client, path, timeout) if wait else sent
        if wait:
            _say_what_blocks(client, sent["change"])
    show(as_text(document) if format == "json" else _line(document))
    if wait:
        verdict = document["verdict"]
        without = 0 if document["state"] == "outside" else _FAILED
        leave(Verdict(verdict).exit_code if verdict else without)


def _submission(repo: str, base: str, head: str) -> dict[str, Json]:
    path = Path(repo)
    if not path.is_dir():
        for what, value in (("BASE", base), ("HEAD", head)):
            if not _COMMIT.fullmatch(value):
                raise InputError(f"{what} {value[:80]!r}: without a local repository give the full commit id")
        return {"repository": repo, "base": base, "head": head}
    with confine.Repository.open(path) as repository:
        first = repository.resolve(base)
        last = repository.resolve(head)
        message = repository.message(last).strip()
    return {
        "repository": _name(path),
        "base": first,
        "head": last,
        "title": (message.splitlines() or [""])[0][:500],
        "description": message[: 64 << 10],
    }


def _maker(text: str) -> dict[str, Json]:
    name, email = parseaddr(text)
    if not name and not email:
        raise InputError(f"--maker {text[:80]!r}: write 'Name <address>', or a name")
    # A bare word is an address to the parser and an account to a code host.
    return {"name": name or email, "email": email if "@" in email else ""}


def _name(path: Path) -> str:
    """Owner and name of a checkout, by its remote ``origin``."""
    command = ["git", "-C", str(path), "config", "--get", "remote.origin.url"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    found = _REMOTE.search(done.stdout.strip())
    if found is None:
        raise InputError(f"{path}: its remote origin does not say owner/name; name the repository instead of a folder")
    return found["name"]


def _client(server: str) -> httpx2.Client:
    import httpx2  # noqa: PLC0415 - what the other commands need not wait for

    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if not token:
        raise AuthenticationError("set COUNTERSIGN_TOKEN to the platform's token, or to the one of the CI's job")
    if not server.startswith(("https://", "http://")):
        raise InputError(f"--server {server[:80]!r} is no http address")
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    return httpx2.Client(base_url=server.rstrip("/"), timeout=_TIMEOUT, headers=headers)


def _ask(client: httpx2.Client, method: str, path: str, body: Json | None = None) -> Json:
    import httpx2  # noqa: PLC0415 - as above

    try:
        response = client.request(method, path, json=body)
        document = response.json()
    except httpx2.HTTPError as error:
        raise SandboxMissingError(f"{client.base_url}: {type(error).__name__}: the service does not answer") from error
    except ValueError as error:
        raise InputError(f"{client.base_url}: answers with no JSON; is it a review service?") from error
    if response.is_success:
        return document
    detail = str(document.get("detail", "")) if isinstance(document, dict) else ""
    message = f"{client.base_url}: HTTP {response.status_code}: {detail[:500]}"
    if response.status_code == _UNAUTHORIZED:
        raise AuthenticationError(message)
    if response.status_code >= _SERVER_ERROR:
        raise SandboxMissingError(message)
    raise InputError(message)


def _waited(client: httpx2.Client, path: str, timeout: float) -> Json:
    deadline = time.monotonic() + timeout
    while True:
        document = _ask(client, "GET", path)
        if document["state"] in _FINAL:
            return document
        if time.monotonic() >= deadline:
            raise SandboxMissingError(f"no verdict within {timeout:g} s; the review goes on at {client.base_url}{path}")
        time.sleep(_POLL_SECONDS)


def _say_what_blocks(client: httpx2.Client, change: int) -> None:
    """Say on stderr what keeps the change from going out, and what to do; the service's own words."""
    for block in _ask(client, "GET", f"/api/v1/changes/{change}/blocking")["blocks"]:
        where = f" ({block['where']})" if block["where"] else ""
        say(f"{block['who']}: {' '.join(block['what'].split())}{where} {block['do']}")


def _line(document: Json) -> str:
    if "state" not in document:
        return str(document["url"])
    error = document.get("error")
    if document["state"] == "outside":
        return "outside: touches nothing that is under review"
    return f"{document['state']}: {error['message'] if error else document['verdict'] or 'no verdict'}"
