# SPDX-License-Identifier: Apache-2.0
"""The real service on a small platform with three changes, and a browser that may reach nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import uvicorn
from playwright.sync_api import sync_playwright
from pytest_socket import enable_socket

from service import arrivals, trust
from service.app import create_app
from service.life import FINAL
from service.settings import Settings
from service.views import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).resolve().parent
REVIEWER = Person("rosa", "Rosa <i>Reviewer</i>", "Institute", "reviewer")
TIDY, LIFT, BROKEN = "Tidy the docstrings", "Fresher \u202efeeds <script>alert(1)</script>", "Broken on purpose"
OUTLETS = ["herald-xa", "state-wire", "channel-one-xa", *(f"press-{number}" for number in range(12))]
ITEMS = 240
PANEL = """
name = "small"
k = 10
depth = 50
seed = 3
permutations = 400
[[slices]]
name = "state-media"
where = "state"
margin = 1.10
severity = "critical"
[[slices]]
each = "topic"
margin = 1.25
[[cohorts]]
by = "country"
[secondary]
each = ["outlet"]
"""
PLATFORMS = """
[[platforms]]
name = "tiny"
allow_local = true
panel = "panel"
artifacts = "artifacts"
[[platforms.repositories]]
name = "tiny/ranker"
url = "{url}"
"""
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed author and clock."""
    fixed = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    for who in ("AUTHOR", "COMMITTER"):
        fixed |= {f"GIT_{who}_NAME": "Pat", f"GIT_{who}_EMAIL": "pat@platform.example"}
        fixed |= {f"GIT_{who}_DATE": "2026-01-02T03:04:05Z"}
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True, env=fixed)
    return done.stdout.strip()


def lay(name: str, repository: Path) -> None:
    """Copy the files of ``platform/<name>`` over the repository's; they are kept as text so that nothing runs them."""
    source = HERE / "platform" / name
    for path in source.rglob("*"):
        if path.is_file():
            target = repository / path.relative_to(source).with_name(path.name.removesuffix(".txt"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def make_repository(folder: Path) -> dict[str, str]:
    """A repository with ``main`` and three branches; the head commit of each by name."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    lay("main", folder)
    fresh = np.random.default_rng(5).random(ITEMS)
    rows = [f"i{number},{OUTLETS[number % 15]},{fresh[number]:.3f}" for number in range(ITEMS)]
    (folder / "data").mkdir()
    (folder / "data" / "items.csv").write_text("\n".join(["item_id,outlet,freshness", *rows, ""]), encoding="utf-8")
    heads = {}
    for name in ("main", "tidy", "lift", "broken"):
        if name != "main":
            git(folder, "checkout", "-q", "-b", name, "main")
            lay(name, folder)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", name)
        heads[name] = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "-q", "main")
    return heads


def hand_in(folder: Path, heads: dict[str, str]) -> None:
    """The model of every commit, beside the repository; in that of ``lift`` one item is three times as long."""
    table = np.random.default_rng(6).standard_normal((ITEMS, 8)).astype("<f4")
    for name, commit in heads.items():
        place = folder / commit / "models"
        place.mkdir(parents=True)
        (place / "items.txt").write_text("".join(f"i{number}\n" for number in range(ITEMS)), encoding="ascii")
        other = table.copy()
        other[7] *= 3 if name == "lift" else 1
        np.savez(place / "items.npz", **{"items <b>": other})


def make_panel(folder: Path) -> None:
    """A panel of 200 people over the platform's items."""
    folder.mkdir()
    (folder / "panel.toml").write_text(PANEL, encoding="utf-8")
    number = np.arange(ITEMS)
    pl.DataFrame(
        {
            "item_id": [f"i{index}" for index in number],
            "outlet": [OUTLETS[index % 15] for index in number],
            "state": number % 15 < 3,
            "topic": [("news", "sport", "music", "food")[index % 4] for index in number],
        }
    ).write_parquet(folder / "items.parquet")
    users = [f"u{index}" for index in range(200)]
    countries = [("XB", "XC")[index % 2] for index in range(200)]
    pl.DataFrame({"user_id": users, "country": countries}).write_parquet(folder / "users.parquet")
    pl.DataFrame(
        {
            "user_id": [user for user in users for _ in range(3)],
            "item_id": [f"i{(index * 7 + step * 31) % ITEMS}" for index in range(200) for step in range(3)],
        }
    ).write_parquet(folder / "histories.parquet")


@dataclass
class Service:
    """The running service, and the change ids by what the change does."""

    url: str
    app: FastAPI
    key: Path
    changes: dict[str, int] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """The service by a name, as passkeys need it."""
        return self.url.replace("127.0.0.1", "localhost")

    def link(self, target: str = "/", *, domain: bool = False) -> str:
        """A fresh sign-in link that leads to ``target``."""
        place = self.domain if domain else self.url
        return f"{place}/sign-in?token={self.app.state.accounts.link(REVIEWER.id)}&next={target}"

    def propose(self, name: str, head: str, title: str, number: int) -> None:
        """Let a change arrive, as a webhook would."""
        arrival = arrivals.Arrival(
            platform="tiny", host="code.example", repository="tiny/ranker", key=f"refs/heads/{name}", number=number,
            title=title, description=f"Makes it better.\n<b>{name}</b>", url="javascript:alert(document.domain)",
            author="Pat", target_ref="refs/heads/main", head_commit=head, base_hint=None, sent_at=None,
        )  # fmt: skip
        delivery = arrivals.DeliveryId("tiny", "test", "change", name, name)
        received = arrivals.receive(self.app.state.database, arrival, delivery)
        assert received.change_id is not None
        self.changes[name] = received.change_id
        self.app.state.worker.wake()


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Poll until done, for two minutes at most."""
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The real application under uvicorn on a free port of the loopback, with its three changes reviewed.

    It ends with the module: another module of the same process may start a service of its own, and workflows are one
    a process.
    """
    enable_socket()  # for this process's own server; the browser is held to it by `browser_context`
    place = tmp_path_factory.mktemp("service")
    heads = make_repository(place / "repository")
    data = place / "data"
    data.mkdir()
    make_panel(data / "panel")
    hand_in(data / "artifacts", heads)
    (data / "platforms.toml").write_text(PLATFORMS.format(url=place / "repository"), encoding="utf-8")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = create_app(
        Settings(
            data_dir=data,
            public_url=f"http://localhost:{port}",
            reviewer_id=REVIEWER.id,
            reviewer_name=REVIEWER.name,
            concurrency=1,
            publish=True,
        )
    )
    key = place / "reviewer"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    trust.enrol_key(app.state.context, REVIEWER, key.with_suffix(".pub").read_text(encoding="ascii").strip())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, args=([listening],), name="uvicorn", daemon=True)
    thread.start()
    wait_for(lambda: server.started, "the start of the service")
    running = Service(f"http://127.0.0.1:{port}", app, key)
    for number, (name, title) in enumerate((("tidy", TIDY), ("lift", LIFT), ("broken", BROKEN)), start=11):
        running.propose(name, heads[name], title, number)
    wait_for(lambda: all(row.state in FINAL for row in app.state.reviews.queue()), "the review of three changes")
    yield running
    server.should_exit = True
    thread.join(timeout=30)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a head. Its event loop runs in the tests' thread, so it ends with the module."""
    enable_socket()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page of a browser, with everything it complained of or asked for elsewhere."""

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def browse(chromium: Browser, service: Service) -> Iterator[Callable[..., Watched]]:
    """Opens a signed-in page; at the end nothing may have been complained of, or asked for elsewhere."""
    opened: list[Watched] = []

    def open_page(
        *, scheme: Any = "light", scripts: bool = False, width: int = 1200, target: str = "/", domain: bool = False
    ) -> Watched:
        context = chromium.new_context(
            color_scheme=scheme, java_script_enabled=scripts, viewport={"width": width, "height": 900}
        )
        watched = Watched(context, context.new_page())

        def held(route: Any) -> None:
            if route.request.url.startswith((service.url, service.domain)):
                route.continue_()
            else:
                watched.complaints.append(f"asked for {route.request.url}")
                route.abort()

        context.route("**/*", held)
        # That a page answers 404 on purpose is the browser's remark on the answer, not a fault of the page.
        watched.page.on(
            "console",
            lambda message: (
                message.text.startswith("Failed to load resource: the server responded with a status of 4")
                or watched.complaints.append(f"console: {message.text}")
            ),
        )
        watched.page.on("pageerror", lambda error: watched.complaints.append(f"script: {error}"))
        watched.page.on("dialog", lambda dialog: watched.complaints.append(f"dialog: {dialog.message}"))
        opened.append(watched)
        watched.page.goto(service.link(target, domain=domain))
        return watched

    yield open_page
    for watched in opened:
        watched.context.close()
    assert [complaint for watched in opened for complaint in watched.complaints] == []
