# SPDX-License-Identifier: Apache-2.0
"""Settings of the service: ``COUNTERSIGN_*`` environment variables, and the platforms in a TOML file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from evidence import InputError

MAX_WEBHOOK_BYTES = 25_000_000  # GitHub caps a payload at 25 MB


class Settings(BaseSettings):
    """What the operator sets; every field is an environment variable ``COUNTERSIGN_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("data"), description="Folder for database, evidence, mirrors, log and keys.")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://… for several workers; without it SQLite in the data folder, and one."
    )
    work: bool = Field(default=True, description="Whether serve also works; false where workers do that.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    public_url: str | None = Field(default=None, description="How browsers and code hosts reach the service.")
    platforms: Path | None = Field(default=None, description="The platforms file; DATA/platforms.toml by default.")
    rules: Path | None = Field(
        default=None, description="The reviewer's rules of diffs; DATA/rules.toml by default, if it is there."
    )
    webhook_bytes: int = Field(default=MAX_WEBHOOK_BYTES, gt=0, description="Largest webhook body, in bytes.")
    artifact_bytes: int = Field(
        default=64 << 30, gt=0, description="Largest artifact that can be handed in over HTTP, in bytes."
    )
    artifacts_bytes: int = Field(
        default=1 << 40, gt=0, description="How much a platform may hand in over HTTP altogether, in bytes."
    )
    reviewer_id: str = Field(
        default="reviewer", description="Whom the link printed at start signs in, as in roots.json."
    )
    reviewer_name: str = Field(default="Reviewer", description="That person's name.")
    reviewer_organization: str = Field(default="independent", description="That person's organisation.")
    log_origin: str = Field(default="countersign", description="Name of the transparency log, in its checkpoints.")
    concurrency: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 2) // 2), ge=1, description="Audits that run at once."
    )
    call_seconds: float = Field(
        default=300.0, gt=0, description="The longest a recommender may take over one batch of requests."
    )
    retry_seconds: float = Field(default=2.0, gt=0, description="First wait before a report is sent again; doubles.")
    outbox_days: float = Field(default=3.0, gt=0, description="How many days a report is tried before it is given up.")
    reconcile_minutes: float = Field(
        default=10.0, ge=0, description="How often code hosts are asked what a lost webhook would have told; 0 never."
    )
    drain_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long running steps may go on after a signal to stop, before they are cut off.",
    )
    retention_years: float = Field(
        default=3.0, ge=3.0, description="How many years evidence is kept before countersign retention may remove it."
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of the operator's bind.")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of the operator's bind, /metrics; none without it."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="Form of log lines; auto is text on a terminal and JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log lines that are written."
    )
    publish: bool = Field(
        default=False, description="Whether /public shows signed revisions, and the roots file, to everybody."
    )
    rollout_minutes: float = Field(
        default=60.0, ge=0, description="How long a rollout may wait for its gate's decision before it is an incident."
    )
    rollouts_a_minute: int = Field(default=120, ge=1, description="How many rollouts a platform may report a minute.")

    @property
    def data(self) -> Path:
        """The data folder, wherever the process goes from here."""
        return self.data_dir.absolute()

    @property
    def url(self) -> str:
        """The service's own address, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def platforms_file(self) -> Path:
        """Where the platforms are configured."""
        return self.platforms or self.data / "platforms.toml"

    @property
    def rules_file(self) -> Path | None:
        """The reviewer's rules for platforms that have none of their own; None without any."""
        own = self.data / "rules.toml"
        return self.rules or (own if own.exists() else None)


_REMOTE = frozenset({"https", "s3", "gs", "gcs", "az", "abfs"})
_LOCAL = frozenset({"http", "file"})


def _several(value: object) -> object:
    """One secret is a list of one; while secrets are exchanged there are two."""
    return () if value is None else (value,) if isinstance(value, str | SecretStr) else value


Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_several), Field(max_length=8)]


class ConfiguredRepository(BaseModel):
    """One repository that is mirrored: what webhooks call it, and where it is cloned from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$", max_length=200)]
    url: Annotated[str, Field(min_length=1, max_length=1000)]
    paths: tuple[Annotated[str, Field(pattern=r"^[^/\\\x00]+(/[^/\\\x00]+)*/?$", max_length=1000)], ...] = ()

    def covers(self, path: str) -> bool:
        """Whether a path is under review: below one of ``paths``, or one of them; everything where there are none."""
        return not self.paths or any(
            path == one.rstrip("/") or path.startswith(f"{one.rstrip('/')}/") for one in self.paths
        )


class CiIssuer(BaseModel):
    """Whose tokens for CI jobs count, instead of ``submit_token``; ``claims`` are what they have to say besides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]/_-]*[A-Za-z0-9_-]$", max_length=400)]
    kind: Literal["github", "gitlab"] = "github"
    audience: Annotated[str, Field(min_length=1, max_length=400)] | None = None
    jwks: Path | None = None
    claims: dict[str, str] = Field(default_factory=dict)


class Platform(BaseModel):
    """A platform under review, as the operator configured it. Nothing here ever comes from a payload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$", max_length=253)] = "github.com"
    code_host: Literal["github", "gitlab", "gitea"] | None = None
    webhook_secret: Secrets = ()
    submit_token: Secrets = ()
    repositories: tuple[ConfiguredRepository, ...] = ()
    repository_prefix: str | None = None
    allow_local: bool = False
    review_forks: bool = False
    ci: tuple[CiIssuer, ...] = ()
    api_base: str | None = None
    api_token: SecretStr | None = None
    app_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None
    app_key: Path | None = None
    panel: Path
    rules: Path | None = None
    wheels: Path | None = None
    artifacts: Path | None = None
    artifact_prefixes: tuple[str, ...] = ()
    provenance_keys: Path | None = None
    allowed_signers: Path | None = None
    openpgp_keyring: Path | None = None

    @model_validator(mode="after")
    def _whole_app(self) -> Platform:
        if (self.app_id is None) != (self.app_key is None) or (self.app_id is not None and self.api_base is None):
            raise ValueError("a GitHub App needs app_id, app_key and api_base")
        if self.app_id is not None and self.code_host not in {None, "github"}:
            raise ValueError("app_id and app_key are for GitHub")
        return self

    @model_validator(mode="after")
    def _usable(self) -> Platform:
        if not self.repositories and not self.repository_prefix:
            raise ValueError("names no repositories: set repositories or repository_prefix")
        for secret in (*self.webhook_secret, *self.submit_token):
            if len(secret.get_secret_value()) < 16:  # noqa: PLR2004 - GitHub advises as much
                raise ValueError("webhook_secret and submit_token need at least 16 characters")
        urls = [repository.url for repository in self.repositories]
        for url in (*urls, self.repository_prefix, self.api_base, *(one.issuer for one in self.ci)):
            if url is not None and not self.allow_local and urlsplit(url).scheme not in {"https", "ssh"}:
                raise ValueError(f"{url} is neither https nor ssh: set allow_local = true if it is meant")
        for url in self.artifact_prefixes:
            place = urlsplit(url)
            local = self.allow_local and place.scheme in _LOCAL
            if not url.endswith("/") or place.username is not None or not (local or place.scheme in _REMOTE):
                raise ValueError(f"artifact_prefixes: {url} is no place to fetch from, or does not end with a slash")
        if self.repository_prefix is not None and not self.repository_prefix.endswith("/"):
            raise ValueError("repository_prefix must end with a slash")
        return self

    def find(self, repository: str) -> ConfiguredRepository | None:
        """The configured repository ``owner/name``, or None if this platform does not cover it."""
        for configured in self.repositories:
            if configured.name.lower() == repository.lower():
                return configured
        if self.repository_prefix is None:
            return None
        owner, _, name = repository.rpartition("/")
        if name in {"", ".", ".."} or urlsplit(self.repository_prefix).path.strip("/") != owner:
            return None
        return ConfiguredRepository(name=repository, url=f"{self.repository_prefix}{name}.git")


class Endpoint(BaseModel):
    """Where the operator wants to be told what happens, by Standard Webhooks; without ``platforms`` of all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    url: Annotated[str, Field(min_length=1, max_length=1000)]
    secret: Annotated[Secrets, Field(min_length=1)]
    platforms: tuple[str, ...] = ()
    events: tuple[Annotated[str, Field(pattern=r"^[a-z]+\.[a-z]+$")], ...] = ()
    allow_local: bool = False

    @model_validator(mode="after")
    def _usable(self) -> Endpoint:
        place = urlsplit(self.url)
        if not place.hostname or place.username is not None or place.scheme not in {"https", "http"}:
            raise ValueError(f"{self.url} is no address of a web server without a user's name in it")
        if place.scheme != "https" and not self.allow_local:
            raise ValueError(f"{self.url} is not https: set allow_local = true if it is meant")
        for secret in self.secret:
            if len(secret.get_secret_value()) < 24:  # noqa: PLR2004 - as Standard Webhooks asks for
                raise ValueError("the secret of a webhook needs at least 24 characters")
        return self


class _PlatformsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platforms: tuple[Platform, ...] = ()
    webhooks: tuple[Endpoint, ...] = ()


def read_platforms(path: Path) -> tuple[Platform, ...]:
    """The configured platforms; none if the file does not exist. Relative paths are from the file's folder.

    Raises:
        InputError: not TOML, an unknown key, a bad value, or two platforms of one name.
    """
    platforms = _read(path).platforms
    names = [platform.name for platform in platforms]
    if len(set(names)) != len(names):
        raise InputError(f"{path}: two platforms have the same name: {max(names, key=names.count)}")
    return tuple(platform.model_copy(update=_from(path.parent, platform)) for platform in platforms)


def read_endpoints(path: Path) -> tuple[Endpoint, ...]:
    """Where what happens is told, from the same file; nowhere if it does not exist.

    Raises:
        InputError: as `read_platforms`; two endpoints of one name, or one for a platform that there is not.
    """
    found = _read(path)
    names = [endpoint.name for endpoint in found.webhooks]
    if len(set(names)) != len(names):
        raise InputError(f"{path}: two webhooks have the same name: {max(names, key=names.count)}")
    for endpoint in found.webhooks:
        for name in endpoint.platforms:
            if name not in {platform.name for platform in found.platforms}:
                raise InputError(f"{path}: webhook {endpoint.name}: there is no platform {name}")
    return found.webhooks


def _read(path: Path) -> _PlatformsFile:
    if not path.exists():
        return _PlatformsFile()
    try:
        return _PlatformsFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {place}: {first['msg']}") from error


def _from(folder: Path, platform: Platform) -> dict[str, Any]:
    return _paths(folder, platform) | {
        "ci": tuple(
            one if one.jwks is None else one.model_copy(update={"jwks": folder / one.jwks}) for one in platform.ci
        )
    }


def _paths(folder: Path, platform: Platform) -> dict[str, Path | None]:
    paths = {"panel": platform.panel, "rules": platform.rules, "wheels": platform.wheels}
    paths |= {"provenance_keys": platform.provenance_keys, "allowed_signers": platform.allowed_signers}
    paths |= {"openpgp_keyring": platform.openpgp_keyring}
    paths |= {"artifacts": platform.artifacts, "app_key": platform.app_key}
    return {name: folder / path if path is not None else None for name, path in paths.items()}
