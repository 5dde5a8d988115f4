# SPDX-License-Identifier: Apache-2.0
"""Which file is a dependency file of what form."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing.dependencies import _jvm, _locks, _others, _python
from diffing.dependencies._facts import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing.dependencies._facts import Declared

_BY_NAME: dict[str, Callable[[str], Declared]] = {
    "pyproject.toml": _python.pyproject,
    "setup.cfg": _python.setup_cfg,
    "pipfile": _python.pipfile,
    "poetry.lock": _python.python_lock,
    "uv.lock": _python.python_lock,
    "pdm.lock": _python.python_lock,
    "package.json": _others.package_json,
    "package-lock.json": _others.package_lock,
    "npm-shrinkwrap.json": _others.package_lock,
    "yarn.lock": _others.yarn_lock,
    "cargo.toml": _others.cargo_toml,
    "cargo.lock": _others.cargo_lock,
    "go.mod": _others.go_mod,
    "go.sum": _others.go_sum,
    "gemfile.lock": _others.gemfile_lock,
    "build.sbt": _others.sbt,
    "plugins.sbt": _others.sbt,
    "pipfile.lock": _locks.pipfile_lock,
    "pnpm-lock.yaml": _locks.pnpm_lock,
    "gemfile": _locks.gemfile,
    "pom.xml": _jvm.pom,
    "build.gradle": _jvm.gradle,
    "build.gradle.kts": _jvm.gradle,
    "settings.gradle": _jvm.gradle,
    "settings.gradle.kts": _jvm.gradle,
    "libs.versions.toml": _jvm.version_catalogue,
    "gradle.lockfile": _jvm.gradle_lock,
    "environment.yml": _others.environment_yml,
    "environment.yaml": _others.environment_yml,
}
_REQUIREMENTS = re.compile(r"(?:.*requirements.*\.(?:txt|in|lock)|constraints.*\.txt|requirements)")
_CONDA_LOCK = re.compile(r"(?:[\w-]+\.)?conda-lock\.ya?ml")
_IN_FOLDER = re.compile(r"requirements/[^/]+\.(?:txt|in|lock)$")
_SETTINGS = {
    "libs.versions.toml": re.compile(""),
    "pyproject.toml": re.compile(
        r"(?:project\.(?:optional-)?dependencies|dependency-groups|build-system\.requires|tool\.uv\.(?:sources|index|dev-dependencies)"
        r"|tool\.poetry\.(?:dependencies|dev-dependencies|group\.[^.]+\.dependencies|source)|tool\.pdm\.source)(?:$|[.\[])"
    ),
    "package.json": re.compile(
        r"(?:dependencies|(?:dev|peer|optional|bundled)Dependencies|overrides|resolutions)(?:$|[.\[])"
    ),
    "cargo.toml": re.compile(
        r"(?:workspace\.|target\..*\.)?(?:dependencies|dev-dependencies|build-dependencies|patch)(?:$|[.\[])"
    ),
}


def _reader(path: str) -> Callable[[str], Declared] | None:
    name = PurePosixPath(path).name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if _CONDA_LOCK.fullmatch(name):
        return _locks.conda_lock
    if _REQUIREMENTS.fullmatch(name) or _IN_FOLDER.search(path.lower()):
        return _python.requirements
    return None


def declares(path: str) -> bool:
    """Whether the file at ``path`` is a dependency file that is read."""
    return _reader(path) is not None


def setting_of_dependencies(path: str, name: str) -> bool:
    """Whether a setting of a configuration file says what it depends on: told as dependencies, not as values."""
    pattern = _SETTINGS.get(PurePosixPath(path).name.lower())
    return pattern is not None and bool(pattern.match(name))


def read(path: str, content: bytes) -> Declared:
    """What one side of a dependency file declares.

    Raises:
        UnreadableError: it is not what its name says, or it has no form that is read.
    """
    reader = _reader(path)
    if reader is None:
        raise UnreadableError("dependencies of a form that is not read")
    return reader(content.decode("utf-8", "backslashreplace"))
