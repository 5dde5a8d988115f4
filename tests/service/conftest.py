# SPDX-License-Identifier: Apache-2.0
"""The service on a small platform."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _sibling(name: str) -> Any:
    """Test folders are no packages: a helper beside this file is loaded by its path."""
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


house_module = _sibling("house")
_sibling("command")
_sibling("receiver")
_sibling("code_hosts")


postgres_module = _sibling("postgres")


# Arrival, and what is looked at afterwards, on both databases.
_ON_BOTH = frozenset({"test_webhooks", "test_incidents"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of these modules once with SQLite and once with PostgreSQL."""
    if Path(metafunc.module.__file__ or "").stem in _ON_BOTH and "storage" in metafunc.fixturenames:
        metafunc.parametrize("storage", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Makes an empty database on a real PostgreSQL, started for these tests; returns its URL."""
    with postgres_module.started() as server:
        yield server.database


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> str | None:
    """The URL of the database; None for SQLite, which tests get that do not ask for both.

    COUNTERSIGN_TEST_STORAGE=postgresql gives every test of the service the other one.
    """
    if getattr(request, "param", os.environ.get("COUNTERSIGN_TEST_STORAGE", "sqlite")) == "sqlite":
        return None
    url: str = request.getfixturevalue("postgresql")()
    return url


@pytest.fixture
def house(tmp_path: Path, storage: str | None) -> Any:
    """A platform with a repository, a panel and settings."""
    return house_module.House(tmp_path, database_url=storage).build()


@pytest.fixture
def running(house: Any) -> Iterator[TestClient]:
    """The service on that platform, running."""
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client
        # A workflow that waits for an audit would wait for ever once the workers are gone.
        for row in client.app.state.reviews.queue():  # type: ignore[attr-defined]
            house_module.finished(client, row.change_id, row.revision)


@pytest.fixture
def idle(house: Any) -> Iterator[TestClient]:
    """The service with nobody working: what arrives is stored and stays where it is."""
    app = create_app(house.settings)
    yield TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    app.state.context.close()


@pytest.fixture
def client(running: TestClient) -> TestClient:
    """Modules whose tests review nothing take the idle service instead."""
    return running


@pytest.fixture
def browser(client: TestClient) -> TestClient:
    """The same, signed in as the reviewer."""
    token = client.app.state.accounts.link("reviewer")  # type: ignore[attr-defined]
    assert client.get(f"/sign-in?token={token}").status_code == 303
    return client
