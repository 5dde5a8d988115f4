# SPDX-License-Identifier: Apache-2.0
"""The languages that facts are read from. A new one is one table here and its grammar in the lock file."""

from __future__ import annotations

from diffing.languages.config import JSON, TOML, YAML
from diffing.languages.python import PYTHON
from diffing.languages.table import Kind, Rule, Table

TABLES = (PYTHON, YAML, TOML, JSON)
BY_SUFFIX = {suffix: table for table in TABLES for suffix in table.suffixes}

__all__ = ["BY_SUFFIX", "JSON", "PYTHON", "TABLES", "TOML", "YAML", "Kind", "Rule", "Table"]
