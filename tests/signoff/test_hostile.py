# SPDX-License-Identifier: Apache-2.0
"""Properties under hostile input: the gate never raises, and a log is the same however it grew."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import canonical
from signoff import Log, LogKey, open_checkpoint, verify, verify_consistency
from signoff._disk import Disk

if TYPE_CHECKING:
    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = LogKey.generate("log.example/one")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


def places(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    if isinstance(document, dict):
        found += [place for key, value in document.items() for place in places(value, (*path, key))]
    elif isinstance(document, list):
        found += [place for index, value in enumerate(document) for place in places(value, (*path, index))]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_any_other_value_at_any_place_of_a_bundle_is_refused_without_raising(world: World, data: st.DataObject) -> None:
    if not world.bundle.exists():
        world.write()
        world.good = world.bundle.read_bytes()
    document = json.loads(world.good)
    *before, last = data.draw(st.sampled_from(places(document)))
    where = document
    for part in before:
        where = where[part]
    value = data.draw(JSON)
    same = where[last] == value and type(where[last]) is type(value)
    where[last] = value
    try:
        changed = canonical(document)
    except Exception:  # noqa: BLE001 - hypothesis made a text that JSON cannot carry
        changed = json.dumps(document).encode()
    world.bundle.write_bytes(changed)
    result = verify(world.bundle, world.roots, NOW, world.policy)
    assert result.holds is same
    assert not result.admitted


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_raising(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bundle, roots, policy = (Path(folder) / name for name in ("bundle", "roots", "policy"))
        for path in (bundle, roots, policy):
            path.write_bytes(data)
        result = verify(bundle, roots, NOW, policy)
        assert result.refused is not None
        assert result.refused.number == 1


class HastyDisk(Disk):
    """Does not wait for the disk."""

    def sync(self, descriptor: int) -> None:
        pass


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=5))
def test_a_log_is_the_same_however_it_grew(batches: list[tuple[int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        grown = Log(Path(folder) / "grown", KEY, disk=HastyDisk())
        entries: list[bytes] = []
        heads = [open_checkpoint(grown.checkpoint(), KEY.public)]
        for count, reopen in batches:
            added = [f"{len(entries) + number}".encode() for number in range(count)]
            if reopen:
                grown = Log(Path(folder) / "grown", KEY, disk=HastyDisk())
            assert grown.append_entries(added) == len(entries)
            entries += added
            heads.append(open_checkpoint(grown.checkpoint(), KEY.public))
        whole = Log(Path(folder) / "whole", KEY, disk=HastyDisk())
        whole.append_entries(entries)
        assert whole.checkpoint() == grown.checkpoint()
        assert list(grown.entries()) == entries
        grown.verify()
        for head in heads:
            path = grown.consistency_proof(head.size)
            verify_consistency(head.size, heads[-1].size, head.root, heads[-1].root, path)
