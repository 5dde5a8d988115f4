# SPDX-License-Identifier: Apache-2.0
"""What a changed file is, by its name and first bytes, and what becomes of it."""

from __future__ import annotations

import re
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import NamedTuple

from diffing._envelopes import only_envelopes
from diffing._words import word_set
from diffing.languages import BY_SUFFIX, MARKDOWN, Table

MANIFEST = "countersign.toml"

_TEXT = word_set("""
.md .markdown .rst .txt .adoc .text .gitignore .gitattributes .gitkeep .editorconfig .dockerignore .license .list
.mailmap .typed
""")
_TEXT_NAMES = word_set(
    "license licence copying notice authors contributors codeowners changelog readme py.typed maintainers security"
)
_MEDIA = word_set("""
.png .jpg .jpeg .gif .webp .ico .bmp .tif .tiff .svgz .avif .heic .mp3 .mp4 .m4a .wav .ogg .flac .webm .mov .avi .mkv
.woff .woff2 .ttf .otf .eot .pdf .psd
""")
_UNSAFE = word_set(".pkl .pickle .pck .joblib .pt .pth .ckpt .h5 .hdf5 .keras .pb .dill .cloudpickle .mar .rds .rdata")
_WEIGHTS = word_set(".npy .npz .safetensors .onnx .gguf .parquet .arrow .feather .ipc .ubj .skops .lgb .lightgbm")
_ENDINGS = {
    "Cython": ".pyx .pxd",
    "shell": ".sh .bash",
    "PowerShell": ".ps1",
    "batch": ".bat",
    "HTML": ".html .htm",
    "CSS": ".css .scss",
    "XML": ".xml",
    "SVG": ".svg",
    "CSV": ".csv",
    "TSV": ".tsv",
    "JSON Lines": ".jsonl .ndjson",
    "Protocol Buffers": ".proto",
    "Thrift": ".thrift",
    "Lua": ".lua",
    "PHP": ".php",
    "Swift": ".swift",
    "R": ".r",
    "Julia": ".jl",
    "Terraform": ".tf",
    "Jinja": ".j2 .jinja",
    "Mako": ".mako",
    "GraphQL": ".graphql",
    "Dart": ".dart",
    "Elixir": ".ex",
    "Clojure": ".clj",
    "Pkl": ".pkl",
}
_LANGUAGES = {ending: language for language, endings in _ENDINGS.items() for ending in endings.split()}
_NAMED = {
    "makefile": "make",
    "dockerfile": "Dockerfile",
    "jenkinsfile": "Groovy",
    "rakefile": "Ruby",
    "gemfile": "Ruby",
    "justfile": "just",
}
_DEPENDENCIES = re.compile(
    r"(?:.*requirements.*\.(?:txt|in|lock)|constraints.*\.txt|.*\.lock|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|"
    r"go\.sum|go\.mod|pipfile|environment\.ya?ml|setup\.cfg|build\.sbt|pom\.xml|(?:build|settings)\.gradle(?:\.kts)?|"
    r"gradle\.lockfile|gemfile|(?:[\w-]+\.)?conda-lock\.ya?ml)",
    re.IGNORECASE,
)
_VENDORED = word_set(
    "node_modules vendor vendored third_party thirdparty third-party site-packages bower_components .venv"
)
_GENERATED = re.compile(
    r".*(?:\.min\.(?:js|css)|\.bundle\.js|\.map|_pb2(?:_grpc)?\.pyi?|\.pb\.go|\.pb\.(?:cc|h)|\.snap)", re.IGNORECASE
)
_TEST = re.compile(
    r"test_.*\.py|.*_test\.py|conftest\.py|.*_test\.(?:go|cc|cpp)|.*(?:Test|Tests|Spec|Suite|IT)\.(?:java|kt|scala)|"
    r".*\.(?:test|spec)\.[cm]?[jt]sx?|.*_(?:spec|test)\.rb"
)
_TEST_FOLDERS = word_set("tests test spec specs __tests__ testdata")
_LFS = b"version https://git-lfs.github.com/spec/"
_LIGHTGBM = b"tree\nversion="
_PKL = (b"//", b"/*", b"@", b"amends ", b"module ")  # no pickle begins so: its machine stops at the first byte
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_SNIFFED = 8_000
_MEDIA_SIGNATURES = (
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"\x00\x00\x01\x00",
    b"wOFF",
    b"wOF2",
    b"%PDF",
    b"ID3",
    b"OggS",
    b"fLaC",
    b"\x00\x01\x00\x00",
    b"OTTO",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x1aE\xdf\xa3",
    b"8BPS",
    b"\xff\xfb",
    b"\xff\xf3",
    b"\x1f\x8b",
)
_FTYP = slice(4, 8)


class What(Enum):
    """What becomes of a file."""

    CODE = auto()  # facts are read
    TEXT = auto()  # prose: nothing but its characters is looked at
    MEDIA = auto()
    UNSAFE = auto()
    WEIGHTS = auto()
    LFS = auto()
    BINARY = auto()
    DEPENDENCY = auto()
    LANGUAGE = auto()  # no table reads it


class FileKind(NamedTuple):
    """What a file is; ``title`` names its language or format in a sentence."""

    what: What
    title: str
    table: Table | None = None

    @property
    def language(self) -> str | None:
        """The language as evidence names it; None where nothing reads the file."""
        if self.table is not None:
            return self.table.name
        return {What.TEXT: "text", What.DEPENDENCY: "dependencies"}.get(self.what) or (
            self.title.lower() if self.what is What.LANGUAGE and self.title != "unknown" else None
        )


def kind_of(path: str, content: bytes | None) -> FileKind:
    """What the file at ``path`` with ``content`` is; None is content too large to be read."""
    pure = PurePosixPath(path)
    name, suffix = pure.name.lower(), pure.suffix.lower()
    known = content or b""
    by_content = _by_content(suffix, known)
    if by_content is not None:
        return by_content
    table = BY_SUFFIX.get(".env" if name.startswith(".env") else suffix)
    if _DEPENDENCIES.fullmatch(name):
        kind = FileKind(What.DEPENDENCY, "dependencies")
    elif table is not None and not (table.built and excuse(path)):
        kind = FileKind(What.CODE, table.title, table)
    elif _is_binary(known) or (content is None and suffix not in _TEXT and suffix not in _LANGUAGES):
        kind = FileKind(What.BINARY, suffix.lstrip(".") or "binary")
    else:
        kind = _text_kind(name, suffix, known)
    return kind


def _by_content(suffix: str, content: bytes) -> FileKind | None:
    """Pointers, model files and media: what is told by the first bytes, or by an ending that nothing else has."""
    if content.startswith(_LFS):
        return FileKind(What.LFS, "Git LFS pointer")
    if (suffix in _UNSAFE and not _is_pkl(suffix, content)) or (_is_binary(content) and _is_pickle(content)):
        return FileKind(What.UNSAFE, suffix.lstrip(".") or "pickle")
    if suffix in _WEIGHTS or content.startswith(_LIGHTGBM):
        return FileKind(What.WEIGHTS, suffix.lstrip("."))
    if suffix in _MEDIA and (_is_media(content) or not content):
        return FileKind(What.MEDIA, suffix.lstrip("."))
    return None


def _text_kind(name: str, suffix: str, content: bytes) -> FileKind:
    stem = name.partition(".")[0]
    plain = suffix in _TEXT or name in _TEXT or name in _TEXT_NAMES or (not suffix and stem in _TEXT_NAMES)
    if plain or not content.strip() or only_envelopes(name, content):
        return FileKind(What.TEXT, "text")
    if suffix in BY_SUFFIX:
        return FileKind(What.LANGUAGE, BY_SUFFIX[suffix].title)
    if suffix in _LANGUAGES:
        return FileKind(What.LANGUAGE, _LANGUAGES[suffix])
    return FileKind(What.LANGUAGE, _NAMED.get(stem, "unknown"))


def reads(path: str) -> bool:
    """Whether facts are read from a file of this name, if it is what its name says."""
    name = PurePosixPath(path.lower())
    return (
        ".env" if name.name.startswith(".env") else name.suffix
    ) in BY_SUFFIX and name.suffix not in MARKDOWN.suffixes


def excuse(path: str) -> str | None:
    """The category that excuses a file nothing reads from being analysed: vendored or generated, by its path."""
    if set(PurePosixPath(path).parts[:-1]) & _VENDORED:
        return "vendored"
    return "generated" if _GENERATED.fullmatch(path.replace("\n", " ")) else None


def is_test(path: str) -> bool:
    """Whether a file is a test, or belongs to tests: by its name, as test runners collect them, or by its folder."""
    pure = PurePosixPath(path)
    return bool(_TEST.fullmatch(pure.name)) or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def _is_binary(content: bytes) -> bool:
    return b"\0" in content[:_SNIFFED]


def _is_pickle(content: bytes) -> bool:
    return bool(_PICKLE.match(content)) or (content.startswith(b"PK\x03\x04") and b"data.pkl" in content[:_SNIFFED])


def _is_pkl(suffix: str, content: bytes) -> bool:
    """Whether a file is in the configuration language whose ending pickles have too."""
    return suffix == ".pkl" and content.startswith(_PKL) and not _is_binary(content)


def _is_media(content: bytes) -> bool:
    return content.startswith(_MEDIA_SIGNATURES) or content[_FTYP] == b"ftyp"
