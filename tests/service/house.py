# SPDX-License-Identifier: Apache-2.0
"""A small platform for the service's tests: a git repository, a recommender, a panel, signed deliveries."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import SecretStr

from service.life import FINAL
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fastapi.testclient import TestClient

    from service.views import RevisionView

SECRET = "a secret of the webhook"
TOKEN = "a token of the platform"
NAME = "tiny/ranker"
ITEMS = 60
USERS = 40
SERVE = """
import hashlib
ITEMS, STATE, LIFT = {items}, 5, {lift}
def weight(*parts):
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32
POPULAR = [weight(item) for item in range(ITEMS)]
class Feed:
    def recommend(self, requests, k):
        {body}
def rank(request, k):
    history = tuple(event["item_id"] for event in request["history"])
    score = lambda item: POPULAR[item] + weight(history, item) + (LIFT if item % STATE == 0 else 0)
    return [f"i{{item}}" for item in sorted(range(ITEMS), key=score, reverse=True)[:k]]
def load(artifacts):
    return Feed()
"""
ANSWER = "return [rank(request, k) for request in requests]"
MANIFEST = '[recommender]\nentrypoint = "rank:load"\n'
PANEL = """
name = "secret-panel"
k = 5
depth = 20
seed = 3
permutations = 200
[[slices]]
name = "secret-slice"
where = "state"
margin = 1.25
severity = "critical"
"""


def serve(lift: float = 0, body: str = ANSWER) -> str:
    """The recommender's source."""
    return SERVE.format(items=ITEMS, lift=lift, body=body)


@dataclass
class House:
    """The platform's files below ``place``, and the service's settings."""

    place: Path
    api_base: str | None = None
    database_url: str | None = None
    publish: bool = False
    reconcile_minutes: float = 0
    deliveries: int = field(default=0)

    @property
    def repository(self) -> Path:
        return self.place / "repository"

    @property
    def settings(self) -> Settings:
        url = SecretStr(self.database_url) if self.database_url else None
        return Settings(
            data_dir=self.place / "data",
            database_url=url,
            retry_seconds=0.01,
            reconcile_minutes=self.reconcile_minutes,
            concurrency=2,
            publish=self.publish,
        )

    def build(self) -> House:
        """Write panel, platforms file and a repository whose main has the recommender without a lift."""
        self.repository.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.commit({"rank.py": serve(), "countersign.toml": MANIFEST}, "First")
        self.panel()
        (self.place / "data").mkdir()
        (self.place / "data" / "platforms.toml").write_text(self.platforms(), encoding="utf-8")
        return self

    def platforms(self) -> str:
        api = f'api_base = "{self.api_base}"\napi_token = "token of the code host"\n' if self.api_base else ""
        return (
            f'[[platforms]]\nname = "tiny"\nhost = "code.example"\nwebhook_secret = "{SECRET}"\n'
            f'submit_token = "{TOKEN}"\nallow_local = true\npanel = "{self.place}/panel"\n{api}'
            f'[[platforms.repositories]]\nname = "{NAME}"\nurl = "file://{self.repository}"\n'
        )

    def panel(self) -> None:
        folder = self.place / "panel"
        folder.mkdir()
        (folder / "panel.toml").write_text(PANEL, encoding="utf-8")
        items = pl.DataFrame({"item_id": [f"i{n}" for n in range(ITEMS)], "state": [n % 5 == 0 for n in range(ITEMS)]})
        users = pl.DataFrame({"user_id": [f"secret-user-{n}" for n in range(USERS)]})
        seen = [(f"secret-user-{n}", f"i{(7 * n + step) % ITEMS}") for n in range(USERS) for step in range(3)]
        items.write_parquet(folder / "items.parquet")
        users.write_parquet(folder / "users.parquet")
        pl.DataFrame(seen, schema=["user_id", "item_id"], orient="row").write_parquet(folder / "histories.parquet")

    def git(self, *arguments: str) -> str:
        fixed = {"HOME": str(self.place), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
        for who in ("AUTHOR", "COMMITTER"):
            fixed |= {f"GIT_{who}_NAME": "Pat", f"GIT_{who}_EMAIL": "pat@platform.example"}
            fixed |= {f"GIT_{who}_DATE": "2026-01-02T03:04:05Z"}
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=fixed).stdout.strip()

    def commit(self, files: Mapping[str, str | None], message: str) -> str:
        for path, text in files.items():
            if text is None:
                (self.repository / path).unlink()
            else:
                (self.repository / path).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, files: Mapping[str, str | None]) -> str:
        """A branch from main with one commit; returns its id."""
        self.git("checkout", "-q", "-B", name, "main")
        commit = self.commit(files, f"Change {name}")
        self.git("checkout", "-q", "main")
        return commit

    def pull(self, head: str, *, number: int = 1, title: str = "A change", **extra: Any) -> dict[str, Any]:
        """A ``pull_request`` event, as far as GitHub's matters here."""
        return {
            "action": "opened",
            "repository": {"full_name": NAME, "default_branch": "main", "clone_url": "file:///etc"},
            "pull_request": {
                "number": number,
                "title": title,
                "body": None,
                "user": {"login": "pat"},
                "base": {"ref": "main", "sha": self.git("rev-parse", "main")},
                "head": {"ref": "topic", "sha": head},
            },
            **extra,
        }

    def headers(self, body: bytes, event: str = "pull_request", secret: str = SECRET) -> dict[str, str]:
        self.deliveries += 1
        return {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"delivery-{self.deliveries}",
            "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
        }

    def deliver(self, client: TestClient, payload: Any, event: str = "pull_request") -> Any:
        body = json.dumps(payload).encode()
        return client.post("/webhooks/github", content=body, headers=self.headers(body, event))


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(folder: Path, name: str = "reviewer") -> Path:
    """A new SSH key pair without a passphrase; the path of the private half."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    return key


def until(
    client: TestClient, done: Callable[[RevisionView], bool], change: int = 1, n: int = 1, seconds: float = 60
) -> RevisionView:
    """The revision once ``done`` says so of it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        view: RevisionView = client.app.state.reviews.revision(change, n)  # type: ignore[attr-defined]
        if done(view):
            return view
        time.sleep(0.05)
    raise AssertionError(f"change {change} revision {n} is still {view.state}: {view.timeline}")


def finished(client: TestClient, change: int = 1, n: int = 1) -> RevisionView:
    """The revision once its review has ended."""
    return until(client, lambda view: view.state in FINAL, change, n)
