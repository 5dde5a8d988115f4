# SPDX-License-Identifier: Apache-2.0
"""A code host that cannot be reached is asked again; a payload never says where to clone from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import House, finished

from confine import Repository
from evidence import RepositoryError
from service import steps
from service.app import create_app
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterator

REMOTE = "https://code.example/tiny/ranker.git"


class Remote:
    """Stands in for a network that the tests do not have: fails, then serves the house's own repository."""

    def __init__(self, house: House, failures: int) -> None:
        self.house = house
        self.failures = failures
        self.asked: list[str] = []
        self.mirror = Repository.mirror

    def __call__(self, url: str, into: Path, **options: Any) -> Repository:
        self.asked.append(url)
        if len(self.asked) <= self.failures:
            raise RepositoryError(f"{url}: could not connect")
        return self.mirror(f"file://{self.house.repository}", into, **options | {"allow_local": True})


@pytest.fixture
def remote_house(tmp_path: Path) -> House:
    house = House(tmp_path).build()
    platforms = tmp_path / "data" / "platforms.toml"
    text = platforms.read_text(encoding="utf-8")
    platforms.write_text(text.replace(f"file://{house.repository}", REMOTE), encoding="utf-8")
    return house


@pytest.fixture
def client(remote_house: House) -> Iterator[TestClient]:
    with TestClient(create_app(remote_house.settings), base_url="http://127.0.0.1:8000") as client:
        yield client
        finished(client)


@pytest.mark.sandbox
def test_a_host_that_comes_back_is_fetched_from_in_the_end(
    remote_house: House, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(remote_house, failures=3)
    monkeypatch.setattr(steps.Repository, "mirror", remote)
    remote_house.deliver(client, remote_house.pull(remote_house.branch("quiet", {"README": "words\n"})))
    assert finished(client).state is State.READY
    assert remote.asked == [REMOTE] * 4


def test_a_host_that_stays_away_is_said(
    remote_house: House, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps.Repository, "mirror", Remote(remote_house, failures=99))
    remote_house.deliver(client, remote_house.pull(remote_house.branch("quiet", {"README": "words\n"})))
    view = finished(client)
    assert view.error is not None
    assert view.error.error_class == "unreachable"
    assert "could not connect" in view.error.public


@pytest.mark.sandbox
def test_the_data_folder_may_be_named_from_the_current_folder(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `countersign serve` has it unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    settings = house.settings.model_copy(update={"data_dir": Path("data")})
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
        view = finished(client)
    assert (view.state, view.error) == (State.READY, None)
