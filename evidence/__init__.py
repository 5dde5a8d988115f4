# SPDX-License-Identifier: Apache-2.0
"""The words every room shares: revision, digest, finding, severity, location, verdict, errors."""

from evidence.digests import (
    Digest,
    Json,
    canonical,
    digest,
    document_digest,
    file_sha256,
    parse_json,
    sha256_hex,
)
from evidence.errors import (
    AuthenticationError,
    ConflictError,
    CountersignError,
    InputError,
    ManifestError,
    NotFoundError,
    PanelError,
    PermissionDeniedError,
    PolicyError,
    RecommenderError,
    RepositoryError,
    SandboxMissingError,
    SlatesError,
    TooLargeError,
    TooManyError,
    VerificationError,
)
from evidence.findings import Finding, Location, Severity, Side, worst_first
from evidence.revisions import Artifact, Revision, Snapshot
from evidence.rules import RULES
from evidence.verdicts import CellVerdict, Verdict

VERSION = "0.1.0"

__all__ = [
    "RULES",
    "VERSION",
    "Artifact",
    "AuthenticationError",
    "CellVerdict",
    "ConflictError",
    "CountersignError",
    "Digest",
    "Finding",
    "InputError",
    "Json",
    "Location",
    "ManifestError",
    "NotFoundError",
    "PanelError",
    "PermissionDeniedError",
    "PolicyError",
    "RecommenderError",
    "RepositoryError",
    "Revision",
    "SandboxMissingError",
    "Severity",
    "Side",
    "SlatesError",
    "Snapshot",
    "TooLargeError",
    "TooManyError",
    "Verdict",
    "VerificationError",
    "canonical",
    "digest",
    "document_digest",
    "file_sha256",
    "parse_json",
    "sha256_hex",
    "worst_first",
]
