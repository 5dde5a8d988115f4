# SPDX-License-Identifier: Apache-2.0
"""The tree is RFC 6962's: published values, and the definition itself on trees of every small size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, VerificationError
from signoff.merkle import (
    EMPTY_ROOT,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The reference data of Certificate Transparency: google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc,
# also transparency-dev/merkle, testonly/constants.go.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


class Whole:
    """Node hashes of a list of entries, by the definition."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries

    def node(self, level: int, index: int) -> bytes:
        return defined_root(self.entries[index << level : (index + 1) << level])


def defined_root(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not entries:
        return EMPTY_ROOT
    if len(entries) == 1:
        return leaf_hash(entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return node_hash(defined_root(entries[:split]), defined_root(entries[split:]))


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_published_roots() -> None:
    assert [root(Whole(LEAVES), size).hex() for size in range(9)] == ROOTS


@pytest.mark.parametrize(("case", "path"), INCLUSION.items())
def test_published_inclusion_proofs(case: tuple[int, int], path: list[str]) -> None:
    index, size = case
    assert [sibling.hex() for sibling in inclusion_path(Whole(LEAVES), index, size)] == path
    verify_inclusion(
        leaf_hash(LEAVES[index]), index, size, [bytes.fromhex(sibling) for sibling in path], bytes.fromhex(ROOTS[size])
    )


@pytest.mark.parametrize(("case", "path"), CONSISTENCY.items())
def test_published_consistency_proofs(case: tuple[int, int], path: list[str]) -> None:
    old, new = case
    assert [sibling.hex() for sibling in consistency_path(Whole(LEAVES), old, new)] == path
    hashes = [bytes.fromhex(sibling) for sibling in path]
    verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), hashes)


def test_every_proof_of_every_small_tree_holds() -> None:
    entries = numbered(20)
    nodes = Whole(entries)
    roots = [defined_root(entries[:size]) for size in range(21)]
    for size in range(21):
        assert root(nodes, size) == roots[size]
        for index in range(size):
            verify_inclusion(leaf_hash(entries[index]), index, size, inclusion_path(nodes, index, size), roots[size])
        for old in range(size + 1):
            verify_consistency(old, size, roots[old], roots[size], consistency_path(nodes, old, size))


@given(st.data())
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    index = data.draw(st.integers(0, size - 1))
    entries = numbered(size)
    path = list(inclusion_path(Whole(entries), index, size))
    expected, leaf = defined_root(entries), leaf_hash(entries[index])
    change = data.draw(st.sampled_from(["leaf", "longer", "root", *(["flip", "shorter"] if path else [])]))
    if change == "leaf":
        leaf = leaf_hash(b"another")
    elif change == "longer":
        path.append(leaf)
    elif change == "root":
        expected = node_hash(expected, leaf)
    elif change == "flip":
        at = data.draw(st.integers(0, len(path) - 1))
        path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
    else:
        path.pop()
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, index, size, path, expected)


@given(st.data())
def test_a_log_that_was_rewritten_has_no_consistency_proof(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    entries = numbered(new)
    rewritten = [*entries]
    rewritten[data.draw(st.integers(0, old - 1))] = b"rewritten"
    path = consistency_path(Whole(rewritten), old, new)
    with pytest.raises(VerificationError):
        verify_consistency(old, new, defined_root(entries[:old]), defined_root(rewritten), path)


@given(st.integers(0, 9), st.integers(0, 9), st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_hostile_consistency_proofs_never_hold(old: int, new: int, path: list[bytes]) -> None:
    with pytest.raises(VerificationError):
        verify_consistency(old, new, b"\x01" * 32, b"\x02" * 32, path)


def test_what_is_not_in_the_log_has_no_proof() -> None:
    for index in (-1, 4, 5):
        with pytest.raises(InputError, match="no entry"):
            inclusion_path(Whole(numbered(4)), index, 4)
        with pytest.raises(VerificationError, match="no entry"):
            verify_inclusion(leaf_hash(b""), index, 4, (), EMPTY_ROOT)
    with pytest.raises(InputError):
        consistency_path(Whole(numbered(4)), 5, 4)
