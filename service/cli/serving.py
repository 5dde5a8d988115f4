# SPDX-License-Identifier: Apache-2.0
"""``serve``, ``demo``, ``doctor``: running the service, and whether this machine can."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.output import as_text, leave, say, show

_MISSING = 4

_Host = Annotated[str | None, typer.Option(help="Address to listen on; COUNTERSIGN_HOST, else 127.0.0.1.")]
_Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on; COUNTERSIGN_PORT, else 8000.")]
_Data = Annotated[Path | None, typer.Option(help="Data folder; COUNTERSIGN_DATA_DIR, else ./data.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(worker)
    app.command()(demo)
    app.command()(doctor)


def serve(host: _Host = None, port: _Port = None, data: _Data = None) -> None:
    """Start the service."""
    from service import server  # noqa: PLC0415 - a second of imports that other commands need not wait for
    from service.settings import Settings  # noqa: PLC0415 - as above

    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    server.run(settings, when_ready=_welcome)


def worker(data: _Data = None) -> None:
    """Do reviews beside the service and other workers; needs COUNTERSIGN_DATABASE_URL and the same data folder."""
    from service import server  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    server.work(Settings(data_dir=data) if data else Settings())


def demo(port: _Port = None, data: _Data = None) -> None:
    """Start the service with a generated short-video platform and three of its changes under review."""
    from service import demo as demonstration  # noqa: PLC0415 - as above
    from service import server  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    defaults = Settings()
    ready = demonstration.prepare(data or defaults.data, port or defaults.port, say)

    def start(link: str) -> None:
        _welcome(link)
        say(f"The demo's reviewer signs with {ready.key}")
        demonstration.deliver(ready)

    server.run(ready.settings, when_ready=start)


def doctor(
    data: _Data = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002 - the option's name
) -> None:
    """What this machine can and cannot do, and how to fix it."""
    from service import checkup  # noqa: PLC0415 - as above
    from service.settings import Settings  # noqa: PLC0415 - as above

    findings = checkup.examine(Settings(data_dir=data) if data else Settings())
    if format == "json":
        show(as_text({"schema": "countersign/doctor/v1", "checks": [finding.to_json() for finding in findings]}))
    else:
        show(checkup.table(findings))
    leave(_MISSING if any(finding.needed and not finding.works for finding in findings) else 0)


def _welcome(link: str) -> None:
    show(f"Sign in once, within 24 hours: {link}")
