# SPDX-License-Identifier: Apache-2.0
"""The languages that facts are read from. A new one is one table here and its grammar in the lock file."""

from __future__ import annotations

from diffing.languages.config import JSON, TOML, YAML
from diffing.languages.jvm import JAVA, SCALA
from diffing.languages.kotlin import KOTLIN
from diffing.languages.lines import HOCON, PROPERTIES
from diffing.languages.markdown import MARKDOWN
from diffing.languages.native import CPP, GO, RUST
from diffing.languages.notebook import NOTEBOOK
from diffing.languages.python import PYTHON
from diffing.languages.script import JAVASCRIPT, RUBY, TSX, TYPESCRIPT
from diffing.languages.sql import SQL
from diffing.languages.table import Kind, Node, Rule, Table

TABLES = (
    *(PYTHON, SCALA, JAVA, KOTLIN, RUST, GO, CPP, TYPESCRIPT, TSX, JAVASCRIPT, RUBY, SQL),
    *(YAML, TOML, JSON, HOCON, PROPERTIES, MARKDOWN, NOTEBOOK),
)
BY_SUFFIX = {suffix: table for table in TABLES for suffix in table.suffixes}

__all__ = ["BY_SUFFIX", "JSON", "MARKDOWN", "PYTHON", "TABLES", "TOML", "YAML", "Kind", "Node", "Rule", "Table"]
