# SPDX-License-Identifier: Apache-2.0
"""Image, compose file, profile and units: they agree with the settings, and leave bubblewrap what it needs."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
UNPRIVILEGED = ("bwrap", "--unshare-user", "--uid", "10001", "--gid", "10001", "--dev-bind", "/", "/")
UNITS = ("countersign.service", "countersign-worker@.service")
NAMES = {f"COUNTERSIGN_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose(root: Path) -> Any:
    return yaml.safe_load((root / "compose.yaml").read_text(encoding="utf-8"))


def unit(root: Path, name: str) -> tuple[Mapping[str, str], list[str]]:
    """The [Service] section, the last value of each key, and all of its lines."""
    text = (root / "deploy" / name).read_text(encoding="utf-8")
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] - systemd's keys have capitals
    parser.read_string(text)
    return parser["Service"], text.splitlines()


def settings(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the service makes of an environment in which every name is one of its own."""
    assert {name for name in environment if name.startswith("COUNTERSIGN_")} <= NAMES
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_the_image_sets_what_there_is_to_be_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    environment = dict(re.findall(r"(COUNTERSIGN_\w+)=(\S+)", text.split("ENV PATH")[1].split("RUN")[0]))
    found = settings(environment, monkeypatch)
    assert (found.host, found.port, found.metrics_host) == ("0.0.0.0", 8000, "127.0.0.1")  # noqa: S104 - a container's own
    assert f"127.0.0.1:{found.metrics_port}/livez" in text
    assert f"VOLUME {found.data_dir}\n" in text
    assert text.index("USER 10001") < text.index("CMD")
    debian = {
        line.split()[-1]
        for line in (root / "requirements" / "debian.txt").read_text().splitlines()
        if line[:3] == "run"
    }
    installed = re.search(r"--no-install-recommends ([a-z -]+) \\", text)
    assert installed is not None
    assert debian <= set(installed[1].split())


def test_the_image_gets_every_room_and_nothing_else(root: Path) -> None:
    import tomllib  # noqa: PLC0415 - only this test reads the project file

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for name, to in re.findall(r"^COPY (\w+) (\w+)$", text, re.MULTILINE) if name == to}
    ignored = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert copied == rooms
    assert kept - rooms == {"pyproject.toml", "README.md", "LICENSE", "requirements/run.txt"}
    assert rooms <= kept
    assert "*" in ignored


def test_compose_has_a_database_a_server_that_does_not_work_and_two_workers(
    compose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = compose["services"]
    server, worker = services["server"], services["worker"]
    assert set(services) == {"database", "server", "worker"}
    assert worker["deploy"]["replicas"] == 2
    given = {name: re.sub(r"\$\{\w+:[-?]([^}]*)\}", r"\1", value) for name, value in server["environment"].items()}
    found = settings(given, monkeypatch)
    assert not found.work
    assert found.database_url is not None
    assert found.database_url.get_secret_value().endswith("@database/countersign")
    assert server["environment"] == worker["environment"] | {"COUNTERSIGN_WORK": "false"}
    for service in (server, worker):
        assert service["volumes"] == ["data:/var/lib/countersign/data"]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
        assert service["depends_on"]["database"]["condition"] == "service_healthy"
        assert int(service["stop_grace_period"].removesuffix("s")) > found.drain_seconds
    assert [each["command"] for each in (server, worker)] == [["countersign", "serve"], ["countersign", "worker"]]


def test_only_workers_get_what_bubblewrap_needs_and_no_capability(compose: Any, root: Path) -> None:
    options = {name: set(service.get("security_opt", ())) for name, service in compose["services"].items()}
    assert options["server"] == {"no-new-privileges:true"}
    assert options["worker"] == {
        "no-new-privileges:true",
        "seccomp=deploy/seccomp.json",
        "apparmor=unconfined",
        "systempaths=unconfined",
    }
    assert (root / "deploy" / "seccomp.json").is_file()
    dangerous = {"privileged", "cap_add", "pid", "network_mode", "devices", "userns_mode"}
    assert not any(dangerous & set(service) for service in compose["services"].values())


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_agrees_with_the_settings_and_leaves_the_sandbox_its_namespaces(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, lines = unit(root, name)
    environment = dict(pair.split("=", 1) for pair in service["Environment"].split())
    found = settings(environment, monkeypatch)
    assert int(service["TimeoutStopSec"]) > found.drain_seconds
    assert str(found.data_dir).startswith(f"/var/lib/{service['StateDirectory']}/")
    assert service["ExecStart"].split()[1:] == [{UNITS[0]: "serve", UNITS[1]: "worker"}[name]]
    for closing in (
        "RestrictNamespaces",
        "ProtectHostname",
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectProc",
    ):
        assert closing not in service
    assert "AF_NETLINK" in service["RestrictAddressFamilies"].split()
    assert any("@mount" in line for line in lines if line.startswith("SystemCallFilter=@"))
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line_of_a_unit(root: Path, name: str, tmp_path: Path) -> None:
    text = (root / "deploy" / name).read_text(encoding="utf-8")
    copy = tmp_path / name.replace("@", "@1")
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if line.startswith(str(copy)) or name in line]
    assert complaints == []


def doctor(*before: str | Path) -> Any:
    """What ``countersign doctor`` says of the sandbox where ``before`` has confined it."""
    command = [*before, sys.executable, "-m", "service.cli", "doctor", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=HERE.parents[1])
    assert done.returncode in {0, 4}, done.stderr
    (check,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "sandbox")
    assert done.returncode == (0 if check["works"] else 4)
    return check


def under(profile: Path) -> tuple[str | Path, ...]:
    return (sys.executable, HERE / "confined.py", profile)


@pytest.mark.sandbox
def test_the_sandbox_works_under_the_profile_without_root_and_without_capabilities(root: Path) -> None:
    check = doctor(*UNPRIVILEGED, *under(root / "deploy" / "seccomp.json"))
    assert (check["works"], check["detail"].startswith("started as an unprivileged user")) == (True, True), check


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ({"unshare", "mount"}, "seccomp=deploy/seccomp.json"),
        ({"mount"}, "seccomp=deploy/seccomp.json"),
        ({"pivot_root"}, "allow @mount"),
        ({"sethostname"}, "leave out ProtectHostname="),
    ],
)
def test_doctor_says_what_a_stricter_profile_refuses(root: Path, tmp_path: Path, taken: set[str], words: str) -> None:
    document = json.loads((root / "deploy" / "seccomp.json").read_text(encoding="utf-8"))
    for group in document["syscalls"]:
        group["names"] = [name for name in group["names"] if name not in taken]
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps(document), encoding="utf-8")
    check = doctor(*under(profile))
    assert not check["works"]
    assert words in check["fix"]


@pytest.mark.sandbox
def test_doctor_says_where_user_namespaces_are_refused() -> None:
    check = doctor("bwrap", "--unshare-user", "--disable-userns", "--bind", "/", "/", "--dev-bind", "/dev", "/dev")
    assert not check["works"]
    assert "user namespaces and mounts are refused here" in check["fix"]


@pytest.mark.sandbox
def test_doctor_says_where_proc_is_covered() -> None:
    check = doctor(*UNPRIVILEGED, "--ro-bind", "/dev/null", "/proc/uptime")  # as containers cover parts of it
    assert not check["works"]
    assert "systempaths=unconfined" in check["fix"]


def test_the_profile_lets_nothing_through_that_reaches_the_kernel_itself(root: Path) -> None:
    document = json.loads((root / "deploy" / "seccomp.json").read_text(encoding="utf-8"))
    allowed = {name for group in document["syscalls"] for name in group["names"]}
    kernel = {"bpf", "init_module", "kexec_load", "keyctl", "open_by_handle_at", "perf_event_open", "reboot", "swapon"}
    assert allowed & kernel == set()
    assert {"clone", "mount", "pivot_root", "seccomp", "umount2", "unshare"} <= allowed
