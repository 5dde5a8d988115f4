# SPDX-License-Identifier: Apache-2.0
"""Which files of the repository a dotted name may come from, by each language's way from names to paths.

No build is read: source roots are guessed from where files lie, so a name that fits several files equally well leads
to none of them, and one that belongs to the language or a library leads nowhere as no file has its path.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from diffing._kinds import is_test
from diffing.capabilities._resolving import UNIMPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_JVM = (".java", ".kt", ".scala")
_SCRIPT = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs")
_ROOTS = ("src", "lib", "python")
_MOST_IN_FOLDER = 60
_MODULE = re.compile(rb"^module[ \t]+([^\s\"]+)", re.MULTILINE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Found(NamedTuple):
    """Files that may define a name, and the name within them ("" where the file itself is called)."""

    paths: tuple[str, ...]
    symbol: str


class Elsewhere:
    """The paths of a repository, by the names that code has for them."""

    def __init__(self, paths: Iterable[str], read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._paths = frozenset(paths)
        self._ending: dict[str, list[str]] = defaultdict(list)  # by the last one and the last two parts of a path
        self._folders: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            self._folders[path.rpartition("/")[0]].append(path)
            _index(path, self._ending)
        self._folders_ending: dict[str, list[str]] = defaultdict(list)
        for folder in self._folders:
            _index(folder, self._folders_ending)
        self._modules: list[tuple[str, str]] | None = None
        self._ways = {
            **dict.fromkeys(("python", "notebook"), self._python),
            **dict.fromkeys(("javascript", "typescript"), self._script),
            **dict.fromkeys(("java", "kotlin", "scala"), self._jvm),
            "go": self._go,
            "rust": self._rust,
            "ruby": self._ruby,
        }
        self._known: dict[tuple[str, str, str, tuple[str, ...]], Found | None] = {}
        self._anywhere: dict[str, str | None] = {}

    def find(self, name: str, at: str, language: str, wide: Sequence[str] = ()) -> Found | None:
        """Where a name in the file ``at`` comes from; None where no file of the repository has it.

        ``wide`` are the packages that the file imports whole.
        """
        way = self._ways.get(language)
        if way is None:
            return None
        prefixes = tuple(wide) if name.startswith(f"{UNIMPORTED}.") else ()
        key = (name, at, language, prefixes)
        if key not in self._known:
            found = way(name, at)
            if found is None and prefixes:
                tried = (way(f"{prefix}.{name[2:]}", at) for prefix in prefixes)
                found = next((one for one in tried if one is not None), None)
            paths = tuple(path for path in found.paths if path != at) if found is not None else ()
            self._known[key] = Found(paths, found.symbol) if found is not None and paths else None
        return self._known[key]

    def _python(self, name: str, at: str) -> Found | None:
        dots = len(name) - len(name.lstrip("."))
        parts = [part for part in name.split(".") if part]
        above = at.split("/")[:-1]
        if dots:
            base = above[: len(above) - dots + 1] if dots <= len(above) + 1 else None
            return self._below([base], parts, 0) if base is not None else None
        if not parts or parts[0] in sys.stdlib_module_names:
            return None
        ancestors = [above[:count] for count in range(len(above), -1, -1)]
        roots = [*ancestors, *([*one, root] for one in ancestors for root in _ROOTS)]
        return self._below(roots, parts, 1) or self._module_anywhere(parts)

    def _below(self, roots: Sequence[list[str]], parts: list[str], fewest: int) -> Found | None:
        """The longest start of a dotted name that is a module below one of several folders."""
        for count in range(len(parts), fewest - 1, -1):
            for root in roots:
                stem = "/".join([*root, *parts[:count]])
                tries = (f"{stem}.py", f"{stem}/__init__.py") if count else (f"{stem}/__init__.py".lstrip("/"),)
                for path in tries:
                    if path in self._paths:
                        return Found((path,), ".".join(parts[count:]))
        return None

    def _module_anywhere(self, parts: list[str]) -> Found | None:
        for count in range(len(parts), 1, -1):
            stem = "/".join(parts[:count])
            if stem not in self._anywhere:
                files = [path for path in self._ends(f"{stem}.py") if path != f"{stem}.py"]
                folders = [folder for folder in _ends(stem, self._folders_ending) if folder != stem]
                packages = [f"{one}/__init__.py" for one in folders if f"{one}/__init__.py" in self._paths]
                self._anywhere[stem] = next((one[0] for one in (files, packages) if len(one) == 1), None)
            path = self._anywhere[stem]
            if path is not None:
                return Found((path,), ".".join(parts[count:]))
        return None

    def _script(self, name: str, at: str) -> Found | None:
        folder, _, last = name.rpartition("/")
        relative = name.startswith(("./", "../"))
        if not relative and not folder:
            return None
        pieces = last.split(".")
        for count in range(len(pieces), 0, -1):
            module, symbol = f"{folder}/{'.'.join(pieces[:count])}", ".".join(pieces[count:])
            path = self._script_file(_joined(at, module)) if relative else self._script_anywhere(module)
            if path is not None:
                return Found((path,), symbol)
        return None

    def _script_file(self, stem: str | None) -> str | None:
        if stem is None:
            return None
        bare = stem.rpartition(".")[0] if stem.endswith(_SCRIPT) else stem  # "./client.js" is what client.ts becomes
        index = f"{stem}/index" if stem else "index"
        tries = [stem, *(f"{one}{ending}" for one in (stem, bare, index) for ending in _SCRIPT)]
        return next((path for path in tries if path in self._paths and path.endswith(_SCRIPT)), None)

    def _script_anywhere(self, module: str) -> str | None:
        """A file that a path alias leads to: ``@/lib/client``, ``src/lib/client``."""
        parts = [part for part in module.split("/") if part]
        if parts and parts[0] in {"@", "~", "#"}:
            parts = parts[1:]
        elif module.startswith("@"):
            return None  # a package of a scope
        stem = "/".join(parts)
        found = [path for ending in _SCRIPT if parts for path in self._ends(f"{stem}{ending}")]
        return found[0] if len(found) == 1 and len(parts) > (module[0] not in "@~#") else None

    def _go(self, name: str, at: str) -> Found | None:
        if name.startswith(f"{UNIMPORTED}."):
            return self._folder(at.rpartition("/")[0], (".go",), name[2:])
        package, _, last = name.rpartition("/")
        element, _, symbol = last.partition(".")
        package = f"{package}/{element}" if package else element
        for module, root in self._go_modules():
            if package == module or package.startswith(f"{module}/"):
                below = package.removeprefix(module).strip("/")
                return self._folder("/".join(filter(None, (root, below))), (".go",), symbol)
        return None

    def _go_modules(self) -> list[tuple[str, str]]:
        """Modules that the repository declares, with their folders, the longest name first."""
        if self._modules is None:
            declared = []
            for path in self._ending.get("go.mod", ())[:_MOST_IN_FOLDER]:
                match = _MODULE.search(self._read(path) or b"")
                if match:
                    declared.append((match.group(1).decode("utf-8", "replace"), path.rpartition("/")[0]))
            self._modules = sorted(declared, key=lambda one: (-len(one[0]), one[1]))
        return self._modules

    def _jvm(self, name: str, at: str) -> Found | None:
        if name.startswith(f"{UNIMPORTED}."):
            folder, symbol = at.rpartition("/")[0], name[2:]
            one = [f"{folder}/{symbol.partition('.')[0]}{ending}".lstrip("/") for ending in _JVM]
            known = [path for path in one if path in self._paths]
            return Found((known[0],), symbol) if known else self._folder(folder, _JVM[1:], symbol)
        parts = name.split(".")
        for count in range(len(parts), 1, -1):
            tail = "/".join(parts[:count])
            for ending in _JVM:
                path = self._nearest(f"{tail}{ending}", at)
                if path is not None:
                    return Found((path,), ".".join(parts[count - 1 :]))
        for count in range(len(parts) - 1, 1, -1):
            tail = "/".join(parts[:count])
            folders = _ends(tail, self._folders_ending)
            found = [self._folder(one, _JVM[1:], ".".join(parts[count:])) for one in folders[:_MOST_IN_FOLDER]]
            paths = tuple(path for one in found if one is not None for path in one.paths)
            if paths:
                return Found(paths[:_MOST_IN_FOLDER], ".".join(parts[count:]))
        return None

    def _rust(self, name: str, at: str) -> Found | None:
        parts = name.split(".")
        above = at.split("/")[:-1]
        inner = [] if PurePosixPath(at).stem in {"mod", "lib", "main"} else [PurePosixPath(at).stem]
        crate = above[: len(above) - above[::-1].index("src")] if "src" in above else above
        for count in range(len(parts) - 1, 0, -1):
            for root in (crate, [*above, *inner], above, above[:-1]):
                stem = "/".join([*root, *parts[:count]])
                for path in (f"{stem}.rs", f"{stem}/mod.rs"):
                    if path in self._paths:
                        return Found((path,), ".".join(parts[count:]))
        return None

    def _ruby(self, name: str, at: str) -> Found | None:
        parts = name.removeprefix(f"{UNIMPORTED}.").split(".")
        constants = [part for part in parts if part[:1].isupper()]
        for start in range(len(constants)):
            words = [_HUMP.sub("_", part).lower() for part in constants[start:]]
            for count in range(len(words), 0, -1):
                path = self._nearest(f"{'/'.join(words[:count])}.rb", at)
                if path is not None:
                    return Found((path,), ".".join(parts[start:]))
        return None

    def _ends(self, tail: str) -> list[str]:
        return _ends(tail, self._ending)

    def _nearest(self, tail: str, at: str) -> str | None:
        """The file that ends so: the one with the longest folder in common with ``at``; None where two have it."""
        found = [path for path in self._ends(tail) if not is_test(path)]
        shared = [_in_common(path, at) for path in found]
        most = max(shared, default=0)
        best = [path for path, count in zip(found, shared, strict=True) if count == most]
        return best[0] if len(best) == 1 else None

    def _folder(self, folder: str, endings: tuple[str, ...], symbol: str) -> Found | None:
        files = [path for path in self._folders.get(folder, ()) if path.endswith(endings) and not is_test(path)]
        return Found(tuple(files[:_MOST_IN_FOLDER]), symbol) if files and symbol else None


def _index(path: str, by_ending: dict[str, list[str]]) -> None:
    parts = path.rsplit("/", 2)
    by_ending[parts[-1]].append(path)
    if len(parts) > 1:
        by_ending["/".join(parts[-2:])].append(path)


def _ends(tail: str, by_ending: Mapping[str, list[str]]) -> list[str]:
    """The paths that end so, in whole parts."""
    known = by_ending.get("/".join(tail.rsplit("/", 2)[-2:]), ())
    return [path for path in known if path == tail or path.endswith(f"/{tail}")]


def _joined(at: str, module: str) -> str | None:
    """A relative path from the folder of ``at``; None where it leaves the repository."""
    parts = at.split("/")[:-1]
    for part in module.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {".", ""}:
            parts.append(part)
    return "/".join(parts)


def _in_common(one: str, other: str) -> int:
    count = 0
    for mine, its in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if mine != its:
            break
        count += 1
    return count
