# SPDX-License-Identifier: Apache-2.0
"""Dependency files of npm, Cargo, Go, Ruby and sbt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from diffing._tree import TooManyNodesError, lower, preorder
from diffing.dependencies._documents import json_document, line_of, mapping, text, toml_document
from diffing.dependencies._facts import Declared, Dependency, Source, UnreadableError
from diffing.dependencies._python import package_lines
from diffing.languages import BY_SUFFIX, Kind

if TYPE_CHECKING:
    from diffing._tree import Node

_NPM_GROUPS = {
    "dependencies": "",
    "optionalDependencies": "optional",
    "peerDependencies": "peer",
    "devDependencies": "dev",
}
_NPM_REGISTRIES = ("https://registry.npmjs.org/", "https://registry.yarnpkg.com/")
_INSTALLING = frozenset({"preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"})
_CARGO_REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
_GIT = re.compile(r"^(?:git\+|git:|git@|github:|gitlab:|bitbucket:|[\w.-]+/[\w.-]+(?:#|$))")
_GO_MODULE = re.compile(r"^\s*([^\s/]+\.[^\s]+|[^\s]+/[^\s]+)\s+(v[^\s]+)")
_YARN_ENTRY = re.compile(r'^"?((?:@[^@"/]+/)?[^@"\s]+)@')


def package_json(content: str) -> Declared:
    """``package.json``; what runs when it is installed is an option."""
    document = json_document(content)
    result = Declared("npm")
    for key, group in _NPM_GROUPS.items():
        for name, value in mapping(document, key).items():
            constraint = text(value)
            source = _npm_source(constraint)
            requirement = constraint if source.origin == "registry" else ""
            exact = requirement if re.fullmatch(r"=?v?\d+\.\d+\.\d+[\w.+-]*", requirement) else None
            line = line_of(content, f'"{name}"')
            result.dependencies.append(Dependency(name, requirement, line, exact, source, group=group))
    for name, value in mapping(document, "scripts").items():
        if name in _INSTALLING:
            result.options[f"scripts.{name}: {text(value)}"] = line_of(content, f'"{name}"')
    return result


def _npm_source(constraint: str) -> Source:
    if constraint.startswith(("file:", "link:", "workspace:", "portal:")):
        return Source("path", constraint)
    if constraint.startswith(("http://", "https://")) and not constraint.partition("#")[0].endswith(".git"):
        return Source("url", constraint)
    if _GIT.match(constraint) or constraint.partition("#")[0].endswith(".git"):
        address, _, revision = constraint.partition("#")
        return Source("git", address, revision)
    return Source()


def package_lock(content: str) -> Declared:
    """``package-lock.json`` and ``npm-shrinkwrap.json``, versions 1 to 3."""
    document = json_document(content)
    result = Declared("npm")
    packages = mapping(document, "packages")
    entries: list[tuple[str, Any]] = [
        (path.rpartition("node_modules/")[2], its) for path, its in packages.items() if path
    ]
    if not packages:
        stack = list(mapping(document, "dependencies").items())
        while stack:
            name, its = stack.pop()
            entries.append((name, its))
            stack.extend(mapping(its, "dependencies").items())
    for name, its in entries:
        if not isinstance(its, dict) or its.get("link"):
            continue
        version, resolved = text(its.get("version")), text(its.get("resolved"))
        hashes = frozenset(text(its.get("integrity")).split())
        line = line_of(content, f'node_modules/{name}"' if packages else f'"{name}"')
        scripts = bool(its.get("hasInstallScript"))
        result.dependencies.append(
            Dependency(name, version, line, version, _npm_resolved(resolved), hashes, "", locked=True, scripts=scripts)
        )
    return result


def _npm_resolved(resolved: str) -> Source:
    if not resolved or resolved.startswith(_NPM_REGISTRIES):
        return Source()
    if resolved.startswith(("git+", "git:")):
        return Source("git", resolved.partition("#")[0], resolved.partition("#")[2])
    host = re.match(r"https?://[^/]+/", resolved)
    return Source("url", host.group() if host else resolved)


def yarn_lock(content: str) -> Declared:
    """``yarn.lock``, the first format and that of Berry."""
    result = Declared("npm")
    name, line, fields = "", 1, dict[str, str]()
    for number, raw in enumerate([*content.split("\n"), "end:"], start=1):
        if raw and not raw.startswith((" ", "#", "\t")):
            if name and fields.get("version"):
                resolved = fields.get("resolved", "")
                hashes = frozenset(
                    filter(None, (fields.get("integrity"), fields.get("checksum"), resolved.partition("#")[2]))
                )
                source = _npm_resolved(resolved.partition("#")[0])
                result.dependencies.append(
                    Dependency(name, fields["version"], line, fields["version"], source, hashes, "", locked=True)
                )
            match = _YARN_ENTRY.match(raw)
            name, line, fields = match.group(1) if match else "", number, {}
        elif name and (field := re.match(r'^\s{2}(\w+):?\s+"?([^"\s]+)"?\s*$', raw)):
            fields.setdefault(field.group(1), field.group(2))
    return result


def cargo_toml(content: str) -> Declared:
    """``Cargo.toml``."""
    document = toml_document(content)
    result = Declared("crates")
    tables = [("", document), ("workspace", mapping(document, "workspace"))]
    tables += [(f"target {name}", its) for name, its in mapping(document, "target").items()]
    for prefix, table in tables:
        for key, group in (("dependencies", ""), ("dev-dependencies", "dev"), ("build-dependencies", "build")):
            for name, value in mapping(table, key).items():
                result.dependencies.append(_crate(name, value, content, f"{prefix} {group}".strip()))
    for registry, table in mapping(document, "patch").items():
        for name, value in table.items() if isinstance(table, dict) else ():
            result.dependencies.append(_crate(name, value, content, f"patch {registry}"))
    return result


def _crate(name: str, value: object, content: str, group: str) -> Dependency:
    its = value if isinstance(value, dict) else {"version": value}
    source = Source()
    if "git" in its:
        source = Source("git", text(its["git"]), text(its.get("rev") or its.get("tag") or its.get("branch")))
    elif "path" in its:
        source = Source("path", text(its["path"]))
    elif "registry" in its:
        source = Source("registry", text(its["registry"]))
    requirement = text(its.get("version")) if not its.get("workspace") else "workspace"
    return Dependency(
        text(its.get("package")) or name, requirement, line_of(content, f"\n{name}") + 1, None, source, group=group
    )


def cargo_lock(content: str) -> Declared:
    """``Cargo.lock``."""
    result = Declared("crates")
    lines = package_lines(content)
    packages = toml_document(content).get("package")
    for at, package in enumerate(packages if isinstance(packages, list) else []):
        if not isinstance(package, dict):
            continue
        address = text(package.get("source"))
        source = Source() if address in {"", _CARGO_REGISTRY} else Source("registry", address)
        if address.startswith("git+"):
            source = Source("git", address[4:].partition("#")[0], address.partition("#")[2])
        elif not address:
            source = Source("path", "")
        version, line = text(package.get("version")), lines[at] if at < len(lines) else 1
        hashes = frozenset(filter(None, [text(package.get("checksum"))]))
        result.dependencies.append(
            Dependency(text(package.get("name")), version, line, version, source, hashes, "", locked=True)
        )
    return result


def go_mod(content: str) -> Declared:
    """``go.mod``: a replaced module comes from where it is replaced."""
    result = Declared("go")
    replaced: dict[str, Source] = {}
    block = ""
    for number, raw in enumerate(content.split("\n"), start=1):
        line = raw.partition("//")[0].strip()
        word, _, rest = line.partition(" ")
        if line.endswith("("):
            block = word
            continue
        if line == ")":
            block = ""
            continue
        verb, rest = (block, line) if block else (word, rest.strip())
        if verb == "require" and (match := _GO_MODULE.match(rest)):
            group = "indirect" if "// indirect" in raw else ""
            result.dependencies.append(Dependency(match.group(1), match.group(2), number, match.group(2), group=group))
        elif verb == "replace" and "=>" in rest:
            old, _, new = (part.strip() for part in rest.partition("=>"))
            where = new.split()
            origin = "path" if where and where[0].startswith((".", "/")) else "url"
            replaced[old.split()[0] if old else ""] = Source(origin, " ".join(where))  # type: ignore[arg-type]
    result.dependencies = [
        Dependency(
            one.name, one.requirement, one.line, one.version, replaced.get(one.name, one.source), group=one.group
        )
        for one in result.dependencies
    ]
    return result


def go_sum(content: str) -> Declared:
    """``go.sum``: hashes by module and version."""
    result = Declared("go")
    for number, line in enumerate(content.split("\n"), start=1):
        parts = line.split()
        if len(parts) == 3 and not parts[1].endswith("/go.mod"):  # noqa: PLR2004 - module, version, hash
            result.dependencies.append(
                Dependency(parts[0], parts[1], number, parts[1], Source(), frozenset({parts[2]}), "", locked=True)
            )
    return result


def gemfile_lock(content: str) -> Declared:
    """``Gemfile.lock``."""
    result = Declared("gems")
    kind, remote = "", ""
    for number, line in enumerate(content.split("\n"), start=1):
        if line and not line.startswith(" "):
            kind, remote = line.strip(), ""
        elif line.startswith("  remote: "):
            remote = line.removeprefix("  remote: ").strip()
        elif match := re.match(r"^ {4}([\w.-]+) \(([^)]+)\)$", line):
            usual = remote.rstrip("/") in {"https://rubygems.org", ""}
            origins = {"GIT": Source("git", remote), "PATH": Source("path", remote)}
            source = origins.get(kind, Source("registry", "" if usual else remote))
            result.dependencies.append(
                Dependency(match.group(1), match.group(2), number, match.group(2), source, locked=True)
            )
    return result


def sbt(content: str) -> Declared:
    """``build.sbt`` and its like, by the Scala grammar: ``"organisation" %% "name" % "version"``."""
    try:
        root = lower(content.encode("utf-8", "surrogateescape"), BY_SUFFIX[".scala"]).root
    except TooManyNodesError as error:
        raise UnreadableError(str(error)) from error
    result = Declared("maven")
    inner: set[int] = set()
    for node in preorder(root):
        parts = _modules(node, inner)
        if len(parts) >= 2:  # noqa: PLR2004 - organisation and name
            organisation, name, *rest = parts
            version = rest[0] if rest else ""
            group = rest[1] if len(rest) > 1 else ""
            result.dependencies.append(
                Dependency(f"{organisation}:{name}", version, node.line, version or None, group=group)
            )
        elif (
            node.kind is Kind.CALL
            and node.children[0].kind is Kind.MEMBER
            and node.children[0].children[1].text == "at"
        ):
            result.indexes.update({one.text: one.line for one in preorder(node) if "://" in one.text})
    return result


def _modules(node: Node, inner: set[int]) -> list[str]:
    """The texts that ``%`` and ``%%`` join, outermost chain only."""
    if id(node) in inner or not _is_percent(node):
        return []
    parts: list[Node] = []
    while _is_percent(node):
        inner.add(id(node))
        parts.append(node.children[-1])
        node = node.children[0]
    parts.append(node)
    found = [part.text if part.kind in {Kind.STRING, Kind.NAME} else "" for part in reversed(parts)]
    return found if all(found[:2]) else []


def _is_percent(node: Node) -> bool:
    return node.kind is Kind.ARITHMETIC and node.text in {"%", "%%", "%%%"}


def environment_yml(content: str) -> Declared:
    """``environment.yml`` of conda: a list of texts, and one of pip's."""
    try:
        root = lower(content.encode("utf-8", "surrogateescape"), BY_SUFFIX[".yaml"]).root
    except TooManyNodesError as error:
        raise UnreadableError(str(error)) from error
    result = Declared("conda")
    for node in preorder(root):
        if (
            node.kind is Kind.PAIR
            and len(node.children) > 1
            and node.children[0].text in {"dependencies", "pip", "channels"}
        ):
            for child in node.children[1].children:
                if child.kind is not Kind.STRING:
                    continue
                if node.children[0].text == "channels":
                    if child.text not in {"conda-forge", "defaults"}:
                        result.indexes[child.text] = child.line
                    continue
                name, version = re.match(r"([^=<>!~ \[]*)\s*(.*)", child.text, re.DOTALL).groups()  # type: ignore[union-attr]
                exact = re.fullmatch(r"={1,2}([\w.+!-]+)(?:=[\w.]+)?", version)
                result.dependencies.append(
                    Dependency(name.rpartition("::")[2].lower(), version, child.line, exact.group(1) if exact else None)
                )
    return result
