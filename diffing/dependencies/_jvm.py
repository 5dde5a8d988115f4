# SPDX-License-Identifier: Apache-2.0
"""Dependency files of Maven and Gradle.

Gradle's are programs: what is written out in them is read (``implementation "group:name:1.0"``, the long form,
platforms, repositories), a name or version that is computed is not. Versions that are properties stay as they are
written, apart from those that the same ``pom.xml`` or version catalogue sets.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple
from xml.parsers import expat

from diffing.dependencies._documents import line_of, mapping, text, toml_document
from diffing.dependencies._facts import Declared, Dependency, Source, UnreadableError

_USUAL = re.compile(
    r"https?://(?:repo1?\.maven\.(?:apache\.)?org|plugins\.gradle\.org|dl\.google\.com|maven\.google\.com)/"
)
_DEEPEST, _LONGEST = 60, 500
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"\"\".*?(?:\"\"\"|\Z)|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[\w.$-]+|\n|[^\s\w]",
    re.DOTALL,
)
_FOR_TESTS = re.compile(r"(?:test|androidTest|integrationTest)\w*")
_CONFIGURATIONS = re.compile(
    r"(?:api|compile|compileOnly|implementation|runtime|runtimeOnly|annotationProcessor|kapt|ksp|classpath|developmentOnly|provided|"
    r"testFixtures\w+|(?:test|androidTest|integrationTest|debug|release)\w*(?:Implementation|Api|Only|Compile|Runtime|Processor))"
)


class _Element(NamedTuple):
    name: str
    line: int
    values: dict[str, str]


def pom(content: str) -> Declared:
    """``pom.xml``: dependencies, managed ones, plugins, parent, repositories; properties of the same file are put in.

    A document type is refused: it can define entities.
    """
    reader = _Pom()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = lambda name, _: reader.start(name, parser.CurrentLineNumber)
    parser.EndElementHandler = lambda _: reader.end()
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(content.encode("utf-8", "backslashreplace"), True)  # noqa: FBT003 - expat's signature
    except expat.ExpatError as error:
        raise UnreadableError(f"no XML that can be read: {str(error)[:100]}") from error
    return reader.declared()


def _refuse(*_: object) -> None:
    raise UnreadableError("XML with a document type: not read, since it can define entities")


class _Pom:
    """Takes the elements of a POM as they come. Only the values of what declares something are kept."""

    _KEPT = ("dependency", "plugin", "parent", "repository", "pluginRepository", "extension")

    def __init__(self) -> None:
        self._path: list[str] = []
        self._open: list[_Element] = []
        self._text: list[str] = []
        self._found: list[tuple[str, _Element]] = []
        self._properties: dict[str, str] = {}

    def start(self, name: str, line: int) -> None:
        if len(self._path) >= _DEEPEST:
            raise UnreadableError("XML nested too deeply")
        name = name.rpartition(":")[2]
        self._path.append(name)
        self._text = []
        if name in self._KEPT:
            self._open.append(_Element(name, line, {}))

    def characters(self, data: str) -> None:
        if sum(map(len, self._text)) < _LONGEST:
            self._text.append(data)

    def end(self) -> None:
        name = self._path.pop()
        value = "".join(self._text).strip()[:_LONGEST]
        above = self._path[-1] if self._path else ""
        if self._open and name == self._open[-1].name and above != name:
            self._found.append(("/".join(self._path), self._open.pop()))
        elif above == "properties":
            self._properties[name] = value
        elif self._open and above == self._open[-1].name:
            self._open[-1].values[name] = value
        self._text = []

    def declared(self) -> Declared:
        result = Declared("maven")
        for path, element in self._found:
            its = {name: self._put_in(value) for name, value in element.values.items()}
            if element.name in {"repository", "pluginRepository"}:
                if "distributionManagement" not in path and its.get("url") and not _USUAL.match(its["url"]):
                    result.indexes.setdefault(its["url"], element.line)
                continue
            name, version = its.get("artifactId", ""), its.get("version", "")
            if not name or "exclusions" in path:
                continue
            default = "org.apache.maven.plugins" if element.name == "plugin" else ""
            group = "build" if element.name in {"plugin", "extension"} else its.get("scope", "")
            scope = "" if group in {"compile", "runtime"} else group
            source = Source("path", its["systemPath"]) if its.get("systemPath") else Source()
            full = f"{its.get('groupId') or default}:{name}"
            result.dependencies.append(Dependency(full, version, element.line, _exact(version), source, group=scope))
        return result

    def _put_in(self, value: str) -> str:
        return re.sub(r"\$\{([\w.-]+)\}", lambda match: self._properties.get(match.group(1), match.group()), value)


def _exact(version: str) -> str | None:
    """A version that leaves nothing open: no range, no property, nothing that moves."""
    moving = version.upper() in {"LATEST", "RELEASE"} or version.endswith(("-SNAPSHOT", "+"))
    return version if version and not moving and not re.search(r"[\[(,$]|latest\.", version) else None


class _Token(NamedTuple):
    text: str
    line: int

    @property
    def string(self) -> str | None:
        """What a text says; None for anything else, and for one with something computed in it."""
        if self.text[:1] in {'"', "'"}:
            inner = self.text.strip("\"'")
            return None if "$" in inner and self.text[0] == '"' else inner
        return None


def gradle(content: str) -> Declared:
    """``build.gradle``, ``settings.gradle`` and their Kotlin forms."""
    tokens = _tokens(content)
    result = Declared("maven")
    for at, token in enumerate(tokens):
        if _CONFIGURATIONS.fullmatch(token.text):
            found = _coordinates(tokens, at)
            if found is not None:
                result.dependencies.append(found)
        elif token.text == "id":
            result.dependencies.extend(_plugin(tokens, at))
        elif token.text in {"url", "maven"}:
            address = next((one.string for one in tokens[at + 1 : at + 6] if one.string and "://" in one.string), None)
            if address and not _USUAL.match(address):
                result.indexes.setdefault(address, token.line)
    return result


def _tokens(content: str) -> list[_Token]:
    found, line = [], 1
    for match in _TOKEN.finditer(content):
        word = match.group()
        if not word.startswith(("//", "/*")):
            found.append(_Token(word, line))
        line += word.count("\n")
    return found


def _coordinates(tokens: list[_Token], at: int) -> Dependency | None:
    """What one configuration is given on its line: ``"group:name:version"``, or the three by name."""
    line = tokens[at].line
    group = "test" if _FOR_TESTS.match(tokens[at].text) else ""
    rest: list[_Token] = []
    for token in tokens[at + 1 : at + 30]:
        if token.text in {"\n", "{", ";"} and not (rest and rest[-1].text in {",", "("}):
            break
        if token.text != "\n":
            rest.append(token)
    named = {
        rest[index].text: rest[index + 2].string or ""
        for index in range(len(rest) - 2)
        if rest[index].text in {"group", "name", "version"} and rest[index + 1].text in {":", "="}
    }
    if named.get("name"):
        version = named.get("version", "")
        return Dependency(f"{named.get('group', '')}:{named['name']}", version, line, _exact(version), group=group)
    if any(token.text in {"files", "fileTree"} for token in rest):
        where = next((token.string for token in rest if token.string), "")
        return Dependency(where or "files", "", line, None, Source("path", where or ""), group=group)
    written = next((token.string for token in rest if token.string), None)
    parts = (written or "").partition("@")[0].split(":")
    if len(parts) < 2 or not all(parts[:2]):  # noqa: PLR2004 - group and name
        return None
    version = parts[2] if len(parts) > 2 else ""  # noqa: PLR2004 - and version
    return Dependency(f"{parts[0]}:{parts[1]}", version, line, _exact(version), group=group)


def _plugin(tokens: list[_Token], at: int) -> list[Dependency]:
    """``id "x" version "1"``."""
    rest: list[_Token] = []
    for token in tokens[at + 1 : at + 8]:
        if token.text in {"\n", ";", "id"}:
            break
        if token.text not in {"(", ")"}:
            rest.append(token)
    version_at = next((index for index, token in enumerate(rest) if token.text == "version"), None)
    if not rest or not rest[0].string or version_at is None or version_at + 1 >= len(rest):
        return []
    version = rest[version_at + 1].string or ""
    return [Dependency(rest[0].string, version, tokens[at].line, _exact(version), group="build")]


def version_catalogue(content: str) -> Declared:
    """``libs.versions.toml``: libraries and plugins, with versions by reference put in."""
    document = toml_document(content)
    versions = mapping(document, "versions")
    result = Declared("maven")
    for table, key in (("libraries", "module"), ("plugins", "id")):
        for alias, value in mapping(document, table).items():
            its = value if isinstance(value, dict) else {}
            name, _, inline = text(value).rpartition(":") if isinstance(value, str) else ("", "", "")
            name = name or text(its.get(key)) or f"{text(its.get('group'))}:{text(its.get('name'))}"
            said = its.get("version")
            reference = said.get("ref") if isinstance(said, dict) else None
            version = inline or text(versions.get(reference) if isinstance(reference, str) else said)
            line = line_of(content, f"\n{alias}") + 1
            group = "build" if table == "plugins" else ""
            result.dependencies.append(Dependency(name.strip(":"), version, line, _exact(version), group=group))
    return result


def gradle_lock(content: str) -> Declared:
    """``gradle.lockfile``: ``group:name:version=configurations``."""
    result = Declared("maven")
    for number, raw in enumerate(content.split("\n"), start=1):
        name, _, version = raw.partition("#")[0].partition("=")[0].strip().rpartition(":")
        if name and version:
            result.dependencies.append(replace(Dependency(name, version, number, version), locked=True))
    return result
