# SPDX-License-Identifier: Apache-2.0
"""``Pipfile.lock``, ``pnpm-lock.yaml``, ``conda-lock.yml`` and ``Gemfile``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing._naming import arguments_of, callee_name
from diffing._tree import TooManyNodesError, lower, preorder
from diffing.dependencies._documents import json_document, line_of, mapping, strings, text
from diffing.dependencies._facts import Declared, Dependency, Source, UnreadableError
from diffing.languages import BY_SUFFIX, Kind

if TYPE_CHECKING:
    from diffing._tree import Node

_PYPI = re.compile(r"https://pypi\.(?:org|python\.org)/simple/?$")
_RUBYGEMS = re.compile(r"https?://rubygems\.org/?$")
_PNPM_KEY = re.compile(r"/?((?:@[^@/]+/)?[^@/]+)[@/]([^()]+)(?:\(.*)?$")
_CONDA = ("https://conda.anaconda.org/conda-forge/", "https://files.pythonhosted.org/", "https://pypi.org/")
_FORGES = {"github": "https://github.com/", "gist": "https://gist.github.com/", "bitbucket": "https://bitbucket.org/"}


def pipfile_lock(content: str) -> Declared:
    """``Pipfile.lock``: what is locked, with hashes, and the indexes."""
    document = json_document(content)
    result = Declared("pypi")
    named: dict[str, str] = {}
    sources = mapping(document, "_meta").get("sources")
    for one in sources if isinstance(sources, list) else []:
        its = one if isinstance(one, dict) else {}
        address = text(its.get("url"))
        named[text(its.get("name"))] = address
        if address and not _PYPI.match(address):
            result.indexes[address] = line_of(content, address)
        if its.get("verify_ssl") is False:
            result.options[f"verify_ssl: false of {address}"] = line_of(content, '"verify_ssl"')
    for key, group in (("default", ""), ("develop", "dev")):
        for name, value in mapping(document, key).items():
            its = value if isinstance(value, dict) else {}
            source = Source()
            if "git" in its:
                source = Source("git", text(its["git"]), text(its.get("ref")))
            elif "path" in its or "file" in its:
                source = Source("path" if "path" in its else "url", text(its.get("path") or its.get("file")))
            elif (address := named.get(text(its.get("index")), "")) and not _PYPI.match(address):
                source = Source("registry", address)
            version = text(its.get("version")).lstrip("=")
            hashes = frozenset(strings(its.get("hashes")))
            line = line_of(content, f'"{name}": {{')
            result.dependencies.append(
                Dependency(name.lower(), version, line, version, source, hashes, group, locked=True)
            )
    return result


def pnpm_lock(content: str) -> Declared:
    """``pnpm-lock.yaml``, versions 5 to 9: its ``packages``."""
    result = Declared("npm")
    for entry in _entries(_lowered(content, ".yaml"), "packages"):
        match = _PNPM_KEY.match(entry.children[0].text)
        fields = {pair.children[0].text: pair.children[-1] for pair in _pairs(entry.children[-1])}
        resolution = {pair.children[0].text: pair.children[-1].text for pair in _pairs(fields.get("resolution"))}
        if match is None and not resolution:
            continue
        name = match.group(1) if match else entry.children[0].text
        version = fields["version"].text if "version" in fields else match.group(2) if match else ""
        source = Source()
        if "repo" in resolution:
            source = Source("git", resolution["repo"], resolution.get("commit", ""))
        elif "tarball" in resolution and not resolution["tarball"].startswith("https://registry.npmjs.org/"):
            host = re.match(r"https?://[^/]+/", resolution["tarball"])
            source = Source("url", host.group() if host else resolution["tarball"])
        elif "directory" in resolution:
            source = Source("path", resolution["directory"])
        hashes = frozenset(filter(None, [resolution.get("integrity")]))
        scripts = "requiresBuild" in fields and fields["requiresBuild"].text == "true"
        result.dependencies.append(
            Dependency(name, version, entry.line, version, source, hashes, "", locked=True, scripts=scripts)
        )
    return result


def conda_lock(content: str) -> Declared:
    """``conda-lock.yml``: what is locked for each platform, from conda and from pip."""
    result = Declared("conda")
    root = _lowered(content, ".yaml")
    top = root if root.kind is Kind.MAP else next((one for one in root.children if one.kind is Kind.MAP), root)
    listed = [pair.children[-1] for pair in _pairs(top) if pair.children[0].text == "package"]
    for entry in (one for sequence in listed for one in sequence.children):
        fields = {pair.children[0].text: pair.children[-1] for pair in _pairs(entry)}
        if "name" not in fields or "version" not in fields:
            continue
        said = {key: node.text for key, node in fields.items()}
        source = Source()
        url = said.get("url", "")
        address = re.match(r"https?://[^/]+/(?:[^/]+/)?", url)
        if address and not address.group().startswith(_CONDA):
            source = Source("url", address.group())
        hashes = frozenset(pair.children[-1].text for pair in _pairs(fields.get("hash")))
        line = fields["name"].line
        build = re.search(
            rf"/{re.escape(said['name'])}-{re.escape(said['version'])}-([\w.]+)\.(?:conda|tar\.bz2)$", url
        )
        version = said["version"] + (f"={build.group(1)}" if build else "")  # builds of one version are other files
        result.dependencies.append(
            Dependency(
                said["name"].lower(), version, line, version, source, hashes,
                said.get("platform", ""), locked=True,
            )
        )  # fmt: skip
    return result


def _entries(root: Node, key: str) -> list[Node]:
    """The pairs below a key at the top of a document."""
    top = root if root.kind is Kind.MAP else next((one for one in root.children if one.kind is Kind.MAP), root)
    return [pair for one in _pairs(top) if one.children[0].text == key for pair in _pairs(one.children[-1])]


def _pairs(node: Node | None) -> list[Node]:
    children = node.children if node is not None else []
    return [child for child in children if child.kind is Kind.PAIR and len(child.children) > 1]


def gemfile(content: str) -> Declared:
    """``Gemfile``: gems with their constraints, groups, git sources and other places to install from."""
    result = Declared("gems")
    blocks: list[tuple[int, int, str, str]] = []  # lines, and what they stand in: a group, or a place
    for node in preorder(_lowered(content, ".rb")):
        if node.kind is not Kind.CALL:
            continue
        verb, given = callee_name(node), arguments_of(node)
        texts = [argument.text for argument in given if argument.kind is Kind.STRING]
        options = {
            argument.children[0].text: argument.children[1].text
            for argument in given
            if argument.kind is Kind.KEYWORD and argument.children[1].kind in {Kind.STRING, Kind.NAME}
        }
        if verb in {"group", "source", "git", "path"} and any(argument.kind is Kind.LAMBDA for argument in given):
            blocks.append((node.line, node.end_line, verb, " ".join(texts)))
        if verb == "source" and texts and not _RUBYGEMS.match(texts[0]):
            result.indexes.setdefault(texts[0], node.line)
        if verb == "gem" and texts:
            around = {kind: value for start, end, kind, value in blocks if start <= node.line <= end}
            result.dependencies.append(_gem(texts, {**around, **options}, node.line))
    return result


def _gem(texts: list[str], said: dict[str, str], line: int) -> Dependency:
    source = Source()
    forge = next((name for name in _FORGES if name in said), None)
    if forge or "git" in said:
        address = f"{_FORGES[forge]}{said[forge]}" if forge else said["git"]
        source = Source("git", address, said.get("ref") or said.get("tag") or said.get("branch") or "")
    elif "path" in said:
        source = Source("path", said["path"])
    elif "source" in said and not _RUBYGEMS.match(said["source"]):
        source = Source("registry", said["source"])
    requirement = ", ".join(texts[1:])
    exact = re.fullmatch(r"=?\s*(\d[\w.]*)", requirement)
    groups = said.get("group", "")
    developing = groups and not {"default", "production"} & set(groups.split())
    return Dependency(
        texts[0], requirement, line, exact.group(1) if exact else None, source, group="dev" if developing else ""
    )


def _lowered(content: str, suffix: str) -> Node:
    try:
        return lower(content.encode("utf-8", "surrogateescape"), BY_SUFFIX[suffix]).root
    except TooManyNodesError as error:
        raise UnreadableError(str(error)) from error
