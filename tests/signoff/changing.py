# SPDX-License-Identifier: Apache-2.0
"""Roots of the small world that administrators change, and bundles for who holds earlier ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evidence import canonical, sha256_hex
from signoff import RootsChange, RootsUpdate, format_time, roots_leaf, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ADMINISTRATORS = (11, 12, 13)
Document = dict[str, Any]


class Chain:
    """Versions of the roots, the first of which names rita and three administrators, two of whom sign the next."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.contents: list[bytes] = []
        self.changes: list[RootsChange] = []
        people = [*world.people[:1]]
        for seed in ADMINISTRATORS:
            keys = [world.key_entry(world.public_line(seed))]
            entry = {"id": f"admin-{seed}", "name": f"Admin {seed}", "organization": "Review"}
            people.append({**entry, "roles": ["administrator"], "keys": keys})
        world.write_roots()
        self.document: Document = {**json.loads(world.roots.read_bytes()), "people": people}
        self.issue(NOW - timedelta(days=10))

    def issue(self, at: datetime) -> bytes:
        """The document as it now is, as the next version."""
        plan: Document = {"version": len(self.contents) + 1, "issued": format_time(at), "threshold": 2}
        if self.contents:
            plan["previous"] = {"sha256": sha256_hex(self.contents[-1])}
        self.contents.append(canonical({**self.document, "administration": plan}))
        return self.contents[-1]

    def change(
        self,
        change: Callable[[Document], object],
        *,
        at: datetime = NOW - timedelta(days=5),
        seeds: tuple[int, ...] = (11, 12),
        logged: datetime | None = None,
    ) -> RootsChange:
        """The next version, signed by these administrators and logged."""
        change(self.document)
        update = RootsUpdate(self.issue(at))
        for seed in seeds:
            update = update.signed(self.signature(seed, update.message))
        self.changes.append(RootsChange(update, self.world.append(roots_leaf(update), logged or at)))
        return self.changes[-1]

    def signature(self, seed: int, message: bytes) -> str:
        path = self.world.folder / f"admin-{seed}"
        if not path.exists():
            private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
            path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            path.chmod(0o600)
        return sign_with_ssh_key(path, message)

    def enrol_rolf(self, document: Document) -> None:
        """Rolf, with a key from four days before now on."""
        rolf = self.world.people[1]
        document["people"].append(
            {**rolf, "keys": [{**rolf["keys"][0], "valid_from": format_time(NOW - timedelta(4))}]}
        )

    def end(self, seed: int, at: datetime) -> Callable[[Document], object]:
        """Ends an administrator's key."""
        line = self.world.public_line(seed)

        def change(document: Document) -> None:
            for person in document["people"]:
                person["keys"] = [
                    {**key, "valid_until": format_time(at)} if key["public"] == line else key for key in person["keys"]
                ]

        return change

    def write(self, held: int = 0) -> None:
        """A bundle of a sign-off by rolf, and the roots of that version for the deployer."""
        self.world.write([self.world.sign(2, "rolf")], roots=self.changes)
        self.hold(held)

    def hold(self, version: int) -> None:
        self.world.roots.write_bytes(self.contents[version])
