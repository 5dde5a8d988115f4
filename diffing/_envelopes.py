# SPDX-License-Identifier: Apache-2.0
"""Files of DSSE envelopes: signed statements, which nothing but a verifier reads."""

from __future__ import annotations

import json

_KEYS = {"payload", "payloadType", "signatures"}
_MOST = 1 << 20


def only_envelopes(path: str, content: bytes) -> bool:
    """Whether a ``.jsonl`` file holds DSSE envelopes and nothing else, one a line."""
    if not path.lower().endswith(".jsonl") or len(content) > _MOST:
        return False
    lines = [line for line in content.split(b"\n") if line.strip()]
    try:
        found = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return False
    return bool(found) and all(isinstance(one, dict) and one.keys() == _KEYS for one in found)
