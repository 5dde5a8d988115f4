# SPDX-License-Identifier: Apache-2.0
"""Building the demonstration's platform, once, and the settings under which the service reviews it."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evidence import InputError, SandboxMissingError, file_sha256, sha256_hex
from service import trust
from service.context import Context
from service.settings import Settings
from service.store import write_durably
from service.views import Person

if TYPE_CHECKING:
    from collections.abc import Callable

PLATFORM = "shortvideo"
REPOSITORY = "shortvideo/recommender"
SEED = 7
REVIEWER = Person("demo-reviewer", "Dana Reviewer", "Independent Review Office", "reviewer")
EMAIL = "dana@review-office.example"
_BUILD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration that is ready to start. ``key`` is the private SSH key of its reviewer."""

    settings: Settings
    place: Path
    secret: str
    key: Path


def prepare(data: Path, port: int, say: Callable[[str], None]) -> Demo:
    """Build the platform, its settings and the reviewer's key below ``data``/demo; what is there is kept.

    Raises:
        InputError: the examples are not installed beside the service, or the generator fails.
        SandboxMissingError: ssh-keygen is not installed.
    """
    folder = data / "demo"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = _built(folder, say)
    secret = _secret(folder / "webhook-secret")
    platforms = folder / "platforms.toml"
    write_durably(platforms, _platforms_toml(place, secret, _secret(folder / "submit-token")).encode())
    settings = Settings(
        data_dir=data,
        port=port,
        platforms=platforms,
        reviewer_id=REVIEWER.id,
        reviewer_name=REVIEWER.name,
        reviewer_organization=REVIEWER.organization,
        log_origin="countersign.demo",
        publish=True,
    )
    key = _reviewer_key(folder)
    context = Context.open(settings)
    try:
        trust.prepare(context)
        trust.enrol_key(context, REVIEWER, key.with_suffix(".pub").read_text(encoding="utf-8"), emails=(EMAIL,))
    finally:
        context.close()
    return Demo(settings, place, secret, key)


def _built(folder: Path, say: Callable[[str], None]) -> Path:
    """The generated platform, made by the generator as it is now."""
    script = Path(__file__).resolve().parents[2] / "examples" / "shortvideo" / "build.py"
    if not script.is_file():
        raise InputError(f"{script} is missing: the demo needs a checkout of the repository, installed as editable")
    sources = sorted(path for path in script.parent.rglob("*") if path.is_file())
    names = [(path, path.relative_to(script.parent)) for path in sources]
    made_of = sha256_hex("".join(f"{name} {file_sha256(path)}\n" for path, name in names if not _cached(name)).encode())
    place = folder / f"{PLATFORM}-{made_of[:12]}"
    if place.is_dir():
        return place
    say("building the short-video platform, once (about half a minute)")
    command = [sys.executable, "-B", str(script), str(place), "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    if done.returncode or not (place / "changes.json").is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"the demo's platform could not be built: {last}")
    return place


def _cached(name: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in name.parts)


def _platforms_toml(place: Path, secret: str, token: str) -> str:
    place = place.resolve()
    return f"""# SPDX-License-Identifier: Apache-2.0
# The demonstration's platform. allow_local lets it be mirrored from this machine; a real one has an https URL.
[[platforms]]
name = "{PLATFORM}"
host = "code.shortvideo.example"
webhook_secret = "{secret}"
submit_token = "{token}"
allow_local = true
panel = {_quoted(place / "panel")}

[[platforms.repositories]]
name = "{REPOSITORY}"
url = {_quoted(f"file://{place / 'repository'}")}
"""


def _quoted(value: Path | str) -> str:
    text = str(value)
    if "'" in text or not text.isprintable():
        raise InputError(f"{text!r}: the data folder's path has characters that the demo cannot write down")
    return f"'{text}'"


def _secret(path: Path) -> str:
    if not path.exists():
        write_durably(path, secrets.token_hex(32).encode())
    return path.read_text(encoding="ascii").strip()


def _reviewer_key(folder: Path) -> Path:
    key = folder / "reviewer_ed25519"
    if key.exists():
        return key
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", REVIEWER.id, "-f", str(key)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise SandboxMissingError("ssh-keygen is not installed; install the package openssh-client") from error
    if done.returncode:
        raise InputError(f"ssh-keygen made no key for the demo: {done.stderr.strip()[:200]}")
    return key
