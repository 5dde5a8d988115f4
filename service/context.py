# SPDX-License-Identifier: Apache-2.0
"""What everything in the service works with: settings, platforms, database, evidence store, and where files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing import read_rules
from evidence import InputError, NotFoundError, sha256_hex
from service.ci_tokens import read_keys
from service.database import Database
from service.github_app import app_key
from service.leases import exclusive
from service.settings import read_endpoints, read_platforms
from service.store import EvidenceStore
from service.tidings import Writer, events
from service.webhooks import signing_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.settings import Endpoint, Platform, Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One data folder, opened. Paths below it are fixed; see the fields of ``Settings`` for what can be set."""

    settings: Settings
    platforms: tuple[Platform, ...]
    database: Database
    store: EvidenceStore
    endpoints: tuple[Endpoint, ...] = ()

    @staticmethod
    def open(settings: Settings) -> Context:
        """Open the data folder, creating and migrating what is missing.

        Raises:
            InputError: the platforms file, or a file of rules or keys that it names, cannot be used.
        """
        data = settings.data
        for folder in ("artifacts", "uploads", "mirrors", "work", "slates", "keys", "log", "proofs"):
            (data / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        database = open_database(settings)
        database.migrate()
        platforms = read_platforms(settings.platforms_file)
        endpoints = _endpoints(settings)
        database.on_move(Writer(endpoints, platforms, settings.url))
        context = Context(settings, platforms, database, EvidenceStore(data / "evidence"), endpoints)
        for path in {context.rules(platform.name) for platform in platforms}:
            if path is not None:
                read_rules(path)  # a mistake in them is said now, not at the next review
        for platform in platforms:
            if platform.app_key is not None:
                app_key(platform.app_key)
        for entry in (entry for platform in platforms for entry in platform.ci):
            if entry.jwks is not None:
                read_keys(entry.jwks)
        return context

    def exclusive(self, what: str) -> AbstractContextManager[None]:
        """What only one of all threads of all processes on this data folder does at a time."""
        return exclusive(self.settings.data / f".{what}.lock")

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def platform(self, name: str) -> Platform:
        """The configured platform of this name. NotFoundError once the operator took it out."""
        for platform in self.platforms:
            if platform.name == name:
                return platform
        raise NotFoundError(f"platform {name} is no longer configured: put it back into {self.settings.platforms_file}")

    def rules(self, platform: str) -> Path | None:
        """The reviewer's rules for diffs of a platform: its own, or those of the settings; None without any."""
        return self.platform(platform).rules or self.settings.rules_file

    def mirror(self, platform: str, url: str) -> Path:
        """Where the mirror of a repository is, or will be."""
        return self.settings.data / "mirrors" / platform / f"{sha256_hex(url.encode())[:32]}.git"

    def uploaded(self, platform: str, repository: str, commit: str) -> Path:
        """Where what was handed in over HTTP for a commit is, or will be: each platform and repository has its own."""
        return self.settings.data / "artifacts" / platform / sha256_hex(repository.lower().encode())[:32] / commit

    @property
    def work(self) -> Path:
        """Folder for what a running step needs; emptied at start."""
        return self.settings.data / "work"

    @property
    def workers(self) -> Path:
        """Folder of the locks by which workers know of each other."""
        return self.settings.data / "workers"

    @property
    def slates(self) -> Path:
        """Folder of cached slates."""
        return self.settings.data / "slates"

    @property
    def policy(self) -> Path:
        """The reviewer's policy."""
        return self.settings.data / "policy.toml"

    @property
    def roots(self) -> Path:
        """The keys and people that sign-offs are checked against."""
        return self.settings.data / "roots.json"

    @property
    def root_updates(self) -> Path:
        """The signed updates that the roots came by, by number."""
        return self.settings.data / "roots"

    @property
    def trust(self) -> Path:
        """What was logged last of the digests of policy and roots."""
        return self.settings.data / "trust.json"

    @property
    def log(self) -> Path:
        """The transparency log's tiles."""
        return self.settings.data / "log"

    @property
    def proofs(self) -> Path:
        """Folder of the proofs of what was logged, as they were then."""
        return self.settings.data / "proofs"

    @property
    def revocations(self) -> Path:
        """The newest signed revocation list."""
        return self.settings.data / "revocations.dsse.json"

    @property
    def revoked(self) -> Path:
        """What the reviewer has revoked."""
        return self.settings.data / "revoked.json"

    @property
    def service_key(self) -> Path:
        """The key that signs revocation lists."""
        return self.settings.data / "keys" / "service.pem"

    @property
    def log_key(self) -> Path:
        """The key that signs the log's checkpoints."""
        return self.settings.data / "keys" / "log.key"


def _endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """Where webhooks go. InputError if one asks for an event that there is not, or its secret cannot be used."""
    found = read_endpoints(settings.platforms_file)
    for endpoint in found:
        for secret in endpoint.secret:
            signing_key(secret.get_secret_value())
        for event in endpoint.events:
            if event not in events():
                known = ", ".join(sorted(events()))
                raise InputError(
                    f"{settings.platforms_file}: webhook {endpoint.name}: no event {event}; there are {known}"
                )
    return found


def open_database(settings: Settings) -> Database:
    """The database of the settings. InputError if its URL is none."""
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value())
    return Database.sqlite(settings.data / "countersign.sqlite")
