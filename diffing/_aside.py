# SPDX-License-Identifier: Apache-2.0
"""What a finding weighs by where it stands: in a test, an example, a document, a translation, how things are deployed.

Nothing is hidden: such findings weigh less and stay in the document. A test or an example counts as one only if nothing
else in the change imports it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing._kinds import excuse, is_test
from diffing._words import holds_results, word_set
from diffing.languages import MARKDOWN
from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from diffing._facts import Facts
    from diffing._placing import FilePair
    from evidence import Finding

_EXAMPLES = word_set("examples example demos demo tutorials tutorial samples docs doc")
_TRANSLATIONS = word_set("locales locale i18n l10n translations lang langs messages")
_DEPLOYING = word_set("""
.aws .azure .gcp infra infrastructure terraform deploy deployment deployments k8s kubernetes helm charts cdk ansible
.devcontainer mise .mise .vscode
""")
_HOW = re.compile(
    r"schema\.rb|structure\.sql|serverless\.ya?ml|(?:docker-)?compose[\w.-]*\.ya?ml|dvc\.(?:yaml|lock)|\.pre-commit-config\.yaml|pyproject\.toml|package\.json|cargo\.toml|"
    r"(?:pixi|mise|\.mise|ruff|taplo|rustfmt|clippy)\.toml|tsconfig[\w.-]*\.json|setup\.cfg|tox\.ini|\.eslintrc[\w.]*"
)
_SEPARATORS = re.compile(r"[./\\:]+")
_SPECIAL = frozenset({"identity-special-case", "identity-list-added", "identity-list-changed"})


def weighed(findings: Iterable[Finding], pairs: Sequence[FilePair], *, alone: bool = False) -> list[Finding]:
    """Findings as they weigh where they stand; ``alone`` says that every file is new."""
    aside = _Aside(pairs)
    return [aside.weighed(finding, alone=alone) for finding in findings]


class _Aside:
    def __init__(self, pairs: Sequence[FilePair]) -> None:
        sides = [side for pair in pairs for side in (pair.old, pair.new) if side]
        apart = [side for side in sides if is_test(side.path) or _is_example(side.path)]
        imported = _Imported(side for side in sides if not (is_test(side.path) or _is_example(side.path)))
        self._apart = {side.path for side in apart if not imported.has(side)}

    def weighed(self, finding: Finding, *, alone: bool) -> Finding:
        path = finding.location.path if finding.location else ""
        most, why = finding.severity, ""
        if is_test(path) and (path in self._apart or finding.rule == "parse-failed"):
            most, why = _of_a_test(finding), "In a test. "
        elif path.lower().endswith(MARKDOWN.suffixes):
            finding = replace(finding, detail=f"A documented value. {finding.detail}")
            most = Severity.LOW
        elif path in self._apart:
            most, why = _of_an_example(finding), "In an example. "
        elif (alone and finding.rule == "literal-added") or _is_quiet(finding, path):
            most = Severity.INFO  # of a first import: it came with everything else, there is nothing that it changes
        if finding.severity is most or not finding.severity.at_least(most):
            return finding
        return replace(finding, severity=most, detail=f"{why}{finding.detail}")


def _is_quiet(finding: Finding, path: str) -> bool:
    """Whether a value stands where nothing ranks by it and feeds nothing called a score."""
    literal = finding.rule.startswith("literal-") and finding.severity is Severity.LOW
    return literal and (bool(excuse(path)) or holds_results(path) or _says_how(path))


def _of_a_test(finding: Finding) -> Severity:
    """No score depends on what a test holds; what it does where it runs is shown if it weighs high anywhere else."""
    loud = finding.rule == "capability-added" and finding.severity.at_least(Severity.HIGH)
    return Severity.LOW if loud else Severity.INFO


def _of_an_example(finding: Finding) -> Severity:
    quiet = finding.rule.startswith("literal-") or finding.rule == "monitoring-removed"
    return Severity.INFO if quiet else Severity.MEDIUM if finding.rule in _SPECIAL else Severity.LOW


@lru_cache(maxsize=4096)
def _is_example(path: str) -> bool:
    return not _EXAMPLES.isdisjoint(part.lower() for part in PurePosixPath(path).parts[:-1])


@lru_cache(maxsize=4096)
def _says_how(path: str) -> bool:
    """Whether a file holds words in another language, or how things are built, deployed or laid out in a database."""
    pure = PurePosixPath(path)
    folders = {part.lower() for part in pure.parts[:-1]}
    return bool(folders & (_TRANSLATIONS | _DEPLOYING)) or bool(_HOW.fullmatch(pure.name.lower()))


class _Imported:
    """What files import: by the last word of a module and the folder it is in, as imports are written in many ways."""

    def __init__(self, sides: Iterable[Facts]) -> None:
        self._named: dict[str, list[tuple[str, Collection[str]]]] = {}
        for side in sides:
            parts = {part for name in side.imports for part in _SEPARATORS.split(name)}
            folder = side.path.rpartition("/")[0]
            for part in parts:
                self._named.setdefault(part, []).append((folder, parts))

    def has(self, side: Facts) -> bool:
        """Whether one of them imports this one: by name from its own folder, or by name and folder."""
        package, _, name = side.module.rpartition(".")
        above, folder = package.rpartition(".")[2], side.path.rpartition("/")[0]
        return any(not above or above in parts or folder == place for place, parts in self._named.get(name, ()))
