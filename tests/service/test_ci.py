# SPDX-License-Identifier: Apache-2.0
"""The GitHub action and the GitLab component: their own steps, run against the service on the loopback."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import yaml
from house import NAME, TOKEN, House, free_port, serve
from pytest_socket import enable_socket

from service.cli.submitting import submit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]

TITLE = '--help "; touch pwned; echo $(touch pwned) `touch pwned`'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str, dict[str, str]]]:
    """A running service, its address, and the heads that are proposed: one that passes and one that fails."""
    enable_socket()
    house = House(tmp_path_factory.mktemp("ci")).build()
    heads = {
        "quiet": house.branch("quiet", {"README": "words\n"}),
        "lift": house.branch("lift", {"rank.py": serve(lift=0.8)}),
    }
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--data", str(house.place / "data")]
    with (house.place / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert time.monotonic() < deadline, (house.place / "log").read_text(encoding="utf-8")
            time.sleep(0.1)
        yield house, url, heads
        process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=10).is_success
    except httpx2.HTTPError:
        return False


def environment(place: Path, **more: str) -> dict[str, str]:
    """What a runner gives a step: `countersign` is on PATH, as after the step that installs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(place), "LANG": "C.UTF-8", **more}


def run(script: str, place: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=place, env=dict(variables), capture_output=True, text=True, check=False, timeout=300
    )


def action_run(root: Path, place: Path, given: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
    """The steps of the action, one after the other, as a runner evaluates them; exit status, outputs, what was said."""
    document = yaml.safe_load((root / "deploy" / "github" / "action.yml").read_text(encoding="utf-8"))
    assert set(given) <= set(document["inputs"])
    inputs = {name: given.get(name, str(one.get("default", ""))) for name, one in document["inputs"].items()}
    output = place / "output"
    output.touch()
    variables = environment(
        place,
        GITHUB_ACTION_PATH=str(root / "deploy" / "github"),
        GITHUB_OUTPUT=str(output),
        GITHUB_PATH=str(place / "path"),
        RUNNER_TEMP=str(place),
    )
    for step in document["runs"]["steps"]:
        assert "${{" not in step["run"]  # others' words are never a part of a script
        values = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)
            for name, text in step.get("env", {}).items()
        }
        done = run(step["run"], place, variables | values)
        if done.returncode:
            break
    outputs = dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())
    return done.returncode, outputs, done.stdout + done.stderr


@pytest.mark.parametrize(("branch", "status", "verdict"), [("quiet", 0, "pass"), ("lift", 1, "fail")])
def test_the_action_waits_for_the_verdict_and_ends_with_it(
    root: Path, tmp_path: Path, service: Any, branch: str, status: int, verdict: str
) -> None:
    house, url, heads = service
    given = {"server": url, "token": TOKEN, "repository": NAME, "base": house.git("rev-parse", "main")}
    given |= {"head": heads[branch], "target": "main", "change": f"pull-{branch}", "title": TITLE, "maker": "pat"}
    assert action_run(root, tmp_path, given)[:2] == (status, {"verdict": verdict, "state": "ready"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output"]


def test_the_action_says_what_is_missing_and_what_the_service_refuses(root: Path, tmp_path: Path, service: Any) -> None:
    house, url, heads = service
    given = {"server": url, "token": "another token of nobody", "repository": NAME, "head": heads["quiet"]}
    given |= {"base": house.git("rev-parse", "main"), "target": "main", "change": "pull-1", "title": "", "maker": ""}
    status, outputs, said = action_run(root, tmp_path, given)
    assert (status, outputs) == (2, {})
    assert "401" in said
    status, outputs, said = action_run(root, tmp_path, given | {"server": ""})
    assert (status, said) == (2, "countersign: COUNTERSIGN_SERVER is not set\n")


def test_the_component_s_script_ends_with_the_verdict_too(root: Path, tmp_path: Path, service: Any) -> None:
    house, url, heads = service
    text = (root / "deploy" / "gitlab" / "templates" / "submit.yml").read_text(encoding="utf-8")
    header, body = text.split("\n---\n")
    spec = yaml.safe_load(header)["spec"]["inputs"]
    given = {"server": url, "image": "countersign"}
    assert {name for name, one in spec.items() if "default" not in one} == set(given)
    inputs = given | {name: one["default"] for name, one in spec.items() if "default" in one}
    job = yaml.safe_load(re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: inputs[found[1]], body))["countersign"]
    variables = environment(
        tmp_path,
        COUNTERSIGN_TOKEN=TOKEN,
        CI_PROJECT_PATH=NAME,
        CI_MERGE_REQUEST_DIFF_BASE_SHA=house.git("rev-parse", "main"),
        CI_COMMIT_SHA=heads["quiet"],
        CI_MERGE_REQUEST_IID="7",
        CI_MERGE_REQUEST_TITLE=TITLE,
        CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main",
        GITLAB_USER_LOGIN="pat",
    )
    variables |= {name: str(value) for name, value in job["variables"].items()}
    done = run("\n".join(job["script"]), tmp_path, variables)
    assert (done.returncode, done.stdout.strip()) == (0, "ready: pass"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_both_name_options_that_the_command_has(root: Path) -> None:
    options = {name.replace("_", "-") for name in inspect.signature(submit).parameters}
    for path in ("github/submit.sh", "gitlab/templates/submit.yml"):
        text = (root / "deploy" / path).read_text(encoding="utf-8")
        named = set(re.findall(r'(?<=[ ("])--([a-z]+)(?=[= ])', text))
        assert {"server", "wait", "timeout", "target", "change", "title", "maker"} <= named <= options
