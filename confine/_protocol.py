# SPDX-License-Identifier: Apache-2.0
"""Checks every answer of a recommender outside the sandbox: nothing in it is believed before.

Pure functions on bytes. What they raise is a RecommenderError: ``garbage`` where the bytes are no answer at all,
``protocol`` where an answer breaks the rules, and what the recommender itself told of otherwise.
"""

from __future__ import annotations

import errno
import math
from typing import NamedTuple

from evidence import InputError, Json, RecommenderError, parse_json

ABILITIES = frozenset({"recommend", "update", "add_items", "score", "rebuild"})
MAX_ITEM_ID = 256  # characters
_ITEM_BYTES, _SCORE_BYTES, _SLATE_BYTES, _ENVELOPE_BYTES = 288, 32, 128, 128 << 10
_TOLD = 4000
_ERRNO_CLASSES = {
    errno.EROFS: "write-refused",
    errno.EAGAIN: "processes",
    errno.ENOMEM: "memory",
    errno.EFBIG: "output-limit",
    errno.ENOSPC: "output-limit",
}


class CheckedSlate(NamedTuple):
    """A slate that keeps the protocol's rules."""

    id: int
    items: tuple[str, ...]
    scores: tuple[float, ...] | None


def largest_answer(requests: int, k: int) -> int:
    """The longest answer accepted to that many requests, in bytes.

    It is tight so that hostile JSON cannot make the parser use up much memory: item ids may average 288 bytes.
    """
    return _ENVELOPE_BYTES + requests * (_SLATE_BYTES + k * (_ITEM_BYTES + _SCORE_BYTES))


def abilities(line: bytes) -> frozenset[str]:
    """The abilities of an answer to hello. Unknown ones are left out, ``recommend`` must be there."""
    answer = _answer(line, "hello")
    names = answer.get("abilities")
    if answer["hello"] != 1 or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecommenderError("protocol", "hello is answered by version 1 and a list of abilities")
    if "recommend" not in names:
        raise RecommenderError("protocol", "what load returned has no method recommend")
    return ABILITIES & set(names)


def slates(line: bytes, ids: list[int], k: int) -> list[CheckedSlate]:
    """One checked slate for each id, in the order of ``ids``, whatever the order of the answer."""
    found = _answer(line, "slates")["slates"]
    if not isinstance(found, list) or len(found) != len(ids):
        count = len(found) if isinstance(found, list) else "no list of"
        raise RecommenderError("protocol", f"{count} slates for {len(ids)} requests")
    by_id = {slate.id: slate for slate in (_slate(slate, k) for slate in found)}
    missing = [wanted for wanted in ids if wanted not in by_id]
    if missing:
        raise RecommenderError("protocol", f"no slate for request {missing[0]} ({len(missing)} missing in all)")
    return [by_id[wanted] for wanted in ids]


def _answer(line: bytes, wanted: str) -> dict[str, Json]:
    """The JSON object on ``line``, with key ``wanted``; an error it tells of is raised."""
    try:
        answer = parse_json(line, "the answer", limit=max(len(line), 1))
    except InputError as error:
        raise RecommenderError("garbage", str(error)) from error
    if isinstance(answer, dict) and "error" in answer:
        raise _told(answer["error"])
    if not isinstance(answer, dict) or wanted not in answer:
        raise RecommenderError("garbage", f"a line that is neither {wanted!r} nor an error: {ascii(answer)[:200]}")
    return answer


def _told(error: Json) -> RecommenderError:
    """An error the other side tells of: which class it is follows from its words, and no more is made of them."""
    if not isinstance(error, dict):
        return RecommenderError("protocol", "an error that is no object")
    words = {key: str(error.get(key) or "") for key in ("type", "message", "phase", "traceback")}
    number = error.get("errno")
    if words["type"] == "MemoryError":
        error_class = "memory"
    elif words["phase"] == "find":
        error_class = "module-missing"
    elif isinstance(number, int) and number in _ERRNO_CLASSES:
        error_class = _ERRNO_CLASSES[number]
    elif number in (errno.EACCES, errno.EPERM) and error.get("file") is True:
        error_class = "write-refused"
    else:
        error_class = "load-failed" if words["phase"] == "load" else "raised"
    told = f"{words['type'][:200]}: {words['message']}"[:_TOLD]
    trace = f" | {words['traceback'][-_TOLD:]}" if words["traceback"] else ""
    return RecommenderError(error_class, told + trace)


def _slate(slate: Json, k: int) -> CheckedSlate:
    number = slate.get("id") if isinstance(slate, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise RecommenderError("protocol", "a slate without the id of its request")
    items, scores = slate.get("items"), slate.get("scores")
    where = f"slate {number}"
    if not isinstance(items, list) or len(items) > k:
        raise RecommenderError("protocol", f"{where}: not a list of at most {k} items")
    for item in items:
        if not isinstance(item, str) or not 0 < len(item) <= MAX_ITEM_ID:
            raise RecommenderError("protocol", f"{where}: {ascii(item)[:80]} is no item id")
    if len(set(items)) != len(items):
        twice = next(item for index, item in enumerate(items) if item in items[:index])
        raise RecommenderError("protocol", f"{where}: item {ascii(twice)[:80]} twice")
    return CheckedSlate(number, tuple(items), _scores(scores, len(items), where))


def _scores(scores: Json, length: int, where: str) -> tuple[float, ...] | None:
    if scores is None:
        return None
    if not isinstance(scores, list) or len(scores) != length:
        raise RecommenderError("protocol", f"{where}: one score an item, or none at all")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
            raise RecommenderError("protocol", f"{where}: {ascii(score)[:80]} is no finite score")
    return tuple(float(score) for score in scores)
