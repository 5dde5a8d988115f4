# SPDX-License-Identifier: Apache-2.0
"""Documents that dependency files are written in, as hostile input."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from diffing.dependencies._facts import UnreadableError

_LONGEST = 500


def toml_document(content: str) -> dict[str, Any]:
    """A TOML document. UnreadableError where it is none, or nested too deeply."""
    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"no TOML that can be read: {str(error)[:100]}") from error


def json_document(content: str) -> dict[str, Any]:
    """A JSON object. UnreadableError where it is none, or nested too deeply."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"no JSON that can be read: {str(error)[:100]}") from error
    if not isinstance(found, dict):
        raise UnreadableError("no JSON object")
    return found


def mapping(document: object, *keys: str) -> dict[str, Any]:
    """The table below several keys; an empty one where it is not there."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def strings(value: object) -> list[str]:
    """The texts of a list; other members, such as references to groups, are left out."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A text as it stands, a number or truth value as text, "" for anything else."""
    return str(value)[:_LONGEST] if isinstance(value, (str, int, float)) else ""


def line_of(content: str, needle: str) -> int:
    """The line on which a text first stands; 1 where it does not, as where it is written with escapes."""
    at = content.find(needle) if needle else -1
    return content.count("\n", 0, at) + 1 if at >= 0 else 1
