# SPDX-License-Identifier: Apache-2.0
"""Python's dependency files: requirements, pyproject.toml, setup.cfg, Pipfile, and the locks of Poetry, uv and PDM."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from diffing.dependencies._documents import line_of, mapping, strings, text, toml_document
from diffing.dependencies._facts import Declared, Dependency, Source, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HASH = re.compile(r"--hash[= ](\S+)")
_OPTION = re.compile(
    r"^(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|--no-binary|--pre|--no-index)\b[= ]?\s*(.*)$"
)
_EDITABLE = re.compile(r"^(?:-e|--editable)[= ]?\s*(.*)$")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_INDEXES = frozenset({"-i", "--index-url", "--extra-index-url", "-f", "--find-links"})
_DEFAULTS = ("https://pypi.org/simple", "https://pypi.python.org/simple", "https://pypi.org/simple/")
_MARKED = re.compile(r"\s#.*$|^#.*$")


def requirements(content: str) -> Declared:
    """A pip requirements or constraints file, hashed or not."""
    result = Declared("pypi")
    for number, line in _logical_lines(content):
        option = _OPTION.match(line)
        if option is not None:
            name, value = option.group(1), option.group(2).strip()
            if name in _INDEXES and value not in _DEFAULTS:
                result.indexes[value] = number
            elif name == "--trusted-host":
                result.options[f"{name} {value}"] = number
            continue
        if line.startswith("-") and not line.startswith(("-e", "--editable")):
            continue
        result.dependencies.append(_requirement(line, number, group=""))
    return result


def _logical_lines(content: str) -> Iterator[tuple[int, str]]:
    held, start = "", 0
    for number, line in enumerate(content.split("\n"), start=1):
        start = start if held else number
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1] + " "
            continue
        whole = _MARKED.sub("", held + line).strip()
        held = ""
        if whole:
            yield start, whole


def _requirement(line: str, number: int, *, group: str, locked: bool = False) -> Dependency:
    hashes = frozenset(_HASH.findall(line))
    plain = _HASH.sub("", line).strip().rstrip("\\").strip()
    editable = _EDITABLE.match(plain)
    plain = editable.group(1) if editable else plain
    if editable or plain.startswith((".", "/")) or "://" in plain.split(" ")[0]:
        return _from_place(plain, number, hashes, group)
    try:
        parsed = Requirement(plain)
    except InvalidRequirement:
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", plain)
        if name is None:
            return Dependency(plain[:200], plain[:200], number, hashes=hashes, group=group)
        return Dependency(canonicalize_name(name.group()), plain[name.end() :].strip()[:200], number, group=group)
    exact = [one.version for one in parsed.specifier if one.operator in {"==", "==="} and not one.version.endswith("*")]
    return Dependency(
        canonicalize_name(parsed.name),
        str(parsed.specifier),
        number,
        exact[0] if len(exact) == 1 and len(parsed.specifier) == 1 else None,
        _source(parsed.url) if parsed.url else Source(),
        hashes,
        group,
        locked,
    )


def _from_place(place: str, number: int, hashes: frozenset[str], group: str) -> Dependency:
    egg = _EGG.search(place)
    source = _source(place)
    name = egg.group(1) if egg else re.sub(r"[@#?].*$", "", place).rstrip("/").rpartition("/")[2].removesuffix(".git")
    return Dependency(canonicalize_name(name or place), "", number, None, source, hashes, group)


def _source(url: str) -> Source:
    scheme, found, rest = url.partition("+")
    if found and scheme in {"git", "hg", "svn", "bzr"}:
        address, _, revision = rest.partition("#")[0].rpartition("@")
        if not address or "/" not in address.partition("://")[2]:
            address, revision = rest.partition("#")[0], ""
        return Source("git", address, revision)
    if "://" not in url or url.startswith("file:"):
        return Source("path", url)
    return Source("url", url.partition("#")[0])


def pyproject(content: str) -> Declared:
    """``pyproject.toml``: PEP 621, PEP 735, Poetry, uv and PDM."""
    document = toml_document(content)
    result = Declared("pypi")
    project, tool = mapping(document, "project"), mapping(document, "tool")
    lists: list[tuple[str, Any]] = [
        ("", project.get("dependencies")),
        ("build", mapping(document, "build-system").get("requires")),
    ]
    lists += [(f"extra {name}", value) for name, value in mapping(project, "optional-dependencies").items()]
    lists += [(f"group {name}", value) for name, value in mapping(document, "dependency-groups").items()]
    lists += [("group dev", mapping(tool, "uv").get("dev-dependencies"))]
    sources = mapping(tool, "uv", "sources")
    for group, values in lists:
        for value in strings(values):
            found = _requirement(value, line_of(content, value), group=group)
            its = sources.get(found.name)
            result.dependencies.append(_with_source(found, its) if isinstance(its, dict) else found)
    poetry = mapping(tool, "poetry")
    result.dependencies += _poetry(poetry, content)
    for entry in [
        *_tables(mapping(tool, "uv").get("index")),
        *_tables(poetry.get("source")),
        *_tables(mapping(tool, "pdm").get("source")),
    ]:
        url = text(entry.get("url"))
        if url and url not in _DEFAULTS:
            result.indexes[url] = line_of(content, url)
    return result


def _poetry(poetry: dict[str, Any], content: str) -> Iterator[Dependency]:
    tables = [("", mapping(poetry, "dependencies")), ("group dev", mapping(poetry, "dev-dependencies"))]
    tables += [
        (f"group {name}", mapping(group, "dependencies"))
        for name, group in mapping(poetry, "group").items()
        if isinstance(group, dict)
    ]
    for group, table in tables:
        for name, value in table.items():
            if name.lower() == "python":
                continue
            line = line_of(content, name)
            constraint = value.get("version", "") if isinstance(value, dict) else value
            found = Dependency(canonicalize_name(name), text(constraint), line, group=group)
            yield _with_source(found, value) if isinstance(value, dict) else found


def _with_source(found: Dependency, table: dict[str, Any]) -> Dependency:
    source = found.source
    if "git" in table:
        source = Source("git", text(table["git"]), text(table.get("rev") or table.get("tag") or table.get("branch")))
    elif "path" in table:
        source = Source("path", text(table["path"]))
    elif "url" in table:
        source = Source("url", text(table["url"]))
    elif "index" in table or "source" in table:
        source = Source("registry", text(table.get("index") or table.get("source")))
    return Dependency(found.name, found.requirement, found.line, found.version, source, found.hashes, found.group)


def setup_cfg(content: str) -> Declared:
    """``setup.cfg`` of setuptools."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content)
    except configparser.Error as error:
        raise UnreadableError(f"no INI file: {str(error).splitlines()[0]}") from error
    result = Declared("pypi")
    lists = [
        ("", parser.get("options", "install_requires", fallback="")),
        ("build", parser.get("options", "setup_requires", fallback="")),
    ]
    if parser.has_section("options.extras_require"):
        lists += [(f"extra {name}", value) for name, value in parser.items("options.extras_require")]
    for group, value in lists:
        for line in filter(None, (one.strip() for one in value.replace(";\n", "\n").split("\n"))):
            if not line.startswith(("#", "file:")):
                result.dependencies.append(_requirement(line, line_of(content, line), group=group))
    return result


def python_lock(content: str) -> Declared:
    """``poetry.lock``, ``uv.lock``, ``pdm.lock``: arrays of packages in TOML."""
    result = Declared("pypi")
    document = toml_document(content)
    listed = mapping(document, "metadata", "files")  # Poetry before 1.5
    lines = package_lines(content)
    for at, package in enumerate(_tables(document.get("package") or document.get("packages"))):
        name, version = text(package.get("name")), text(package.get("version"))
        files = [*_tables(package.get("files")), *_tables(package.get("wheels")), *_tables(listed.get(name))]
        files += [package["sdist"]] if isinstance(package.get("sdist"), dict) else []
        hashes = frozenset(text(file.get("hash") or mapping(file, "hashes").get("sha256")) for file in files)
        line = lines[at] if at < len(lines) else 1
        source = _locked_source(package.get("source"))
        result.dependencies.append(
            Dependency(canonicalize_name(name), version, line, version, source, hashes - {""}, "", locked=True)
        )
    return result


def package_lines(content: str) -> list[int]:
    """The lines at which ``[[package]]`` entries start."""
    return [number for number, line in enumerate(content.split("\n"), start=1) if re.match(r"\[\[packages?\]\]", line)]


def _locked_source(value: object) -> Source:
    if not isinstance(value, dict):
        return Source()
    kind = text(value.get("type"))
    url = text(value.get("url") or value.get("registry"))
    if "git" in value or kind == "git":
        address = text(value.get("git")) or url
        return Source(
            "git", address.partition("#")[0], text(value.get("resolved_reference")) or address.partition("#")[2]
        )
    if {"editable", "virtual", "directory", "path"} & value.keys() or kind in {"directory", "file"}:
        return Source(
            "path",
            url or text(value.get("editable") or value.get("virtual") or value.get("directory") or value.get("path")),
        )
    if kind == "url" or ("url" in value and kind != "legacy"):
        return Source("url", url)
    return Source("registry", "" if url in _DEFAULTS else url)


def pipfile(content: str) -> Declared:
    """``Pipfile``."""
    document = toml_document(content)
    result = Declared("pypi")
    for key, group in (("packages", ""), ("dev-packages", "group dev")):
        for name, value in mapping(document, key).items():
            constraint = value.get("version", "") if isinstance(value, dict) else value
            found = Dependency(canonicalize_name(name), text(constraint), line_of(content, name), group=group)
            result.dependencies.append(_with_source(found, value) if isinstance(value, dict) else found)
    for entry in _tables(document.get("source")):
        if (url := text(entry.get("url"))) not in _DEFAULTS:
            result.indexes[url] = line_of(content, url)
    return result


def _tables(value: object) -> Iterable[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
