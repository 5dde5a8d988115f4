# SPDX-License-Identifier: Apache-2.0
"""Fixtures every room shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]


# No test depends on timing, those of hypothesis neither.
settings.register_profile("house", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real data of COUNTERSIGN_DATA; absent on a user's machine it skips, in CI it fails."""
    data = Path(os.environ.get("COUNTERSIGN_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "nemig-de" / "panel.toml").is_file():
        message = f"no real data at {data}; set COUNTERSIGN_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return data


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # noqa: ANN201 - pytest's own generator protocol
    """In CI a skipped test is a failure: what was not run has not passed."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {call.excinfo.value if call.excinfo else 'no reason'}"
    return report
