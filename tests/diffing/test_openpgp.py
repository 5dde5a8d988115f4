# SPDX-License-Identifier: Apache-2.0
"""OpenPGP signatures of commits against a reviewer's keyring."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from confine import Repository
from diffing import diff
from diffing._openpgp import verify
from evidence import InputError, SandboxMissingError, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing import Diff

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg, which verifies, is not installed")
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
WHEN = "2026-03-01T00:00:00Z"


class Signed:
    """A repository whose commits are signed by keys in a home made for them."""

    def __init__(self, place: Path, home: Path) -> None:
        self.place, self.home, self.keyring = place, home, place / "keys.gpg"
        self.git("init", "-q", "-b", "main")
        self.git("commit", "-q", "--allow-empty", "-m", "first")

    def gpg(self, *arguments: str, at: str, given: bytes = b"") -> bytes:
        command = ["gpg", "-q", "--batch", "--homedir", str(self.home), "--faked-system-time", at, *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout

    def key(
        self,
        name: str,
        made: str = "20260101T000000",
        lasts: str = "1y",
        *,
        listed: bool = True,
        kind: str = "ed25519",
    ) -> None:
        who = f"{name} <{name}@example.org>"
        self.gpg("--passphrase", "", "--quick-generate-key", who, kind, "sign", lasts, at=made)
        with self.keyring.open("ab") as file:
            file.write(self.gpg("--export", name, at=made) if listed else b"")

    def git(self, *arguments: str, who: str = "ada", given: bytes = b"") -> str:
        fixed = dict(ENVIRONMENT)
        for role in ("AUTHOR", "COMMITTER"):
            fixed |= {f"GIT_{role}_NAME": who, f"GIT_{role}_EMAIL": f"{who}@example.org", f"GIT_{role}_DATE": WHEN}
        command = ["git", "-C", str(self.place), *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True, env=fixed).stdout.decode()

    def commit(
        self,
        message: str,
        key: str,
        *,
        who: str = "ada",
        at: str = "20260301T000030",
        then: str = "",
        digest: str = "SHA256",
        when: int | None = None,
    ) -> None:
        """Commit, sign what was committed, and put the signature in; ``then`` is what the message says afterwards."""
        self.git("commit", "-q", "--allow-empty", "-m", message, who=who)
        raw = self.git("cat-file", "commit", "HEAD").encode()
        raw = re.sub(rb"(?m)^(committer .*>) \d+", rb"\1 %d" % when, raw) if when is not None else raw
        how = ("--local-user", key, "--armor", "--digest-algo", digest, "--detach-sign")
        armored = self.gpg(*how, at=at, given=raw).decode().rstrip("\n")
        headers, _, body = raw.decode().partition("\n\n")
        signed = f"{headers}\ngpgsig {armored.replace(chr(10), chr(10) + ' ')}\n\n{then or body}"
        made = self.git("hash-object", "-t", "commit", "-w", "--stdin", given=signed.encode()).strip()
        self.git("update-ref", "refs/heads/main", made)

    def diff(self, base: str = "HEAD~1") -> Diff:
        with Repository.open(self.place) as repository:
            return diff(repository, base, "HEAD", keyring=self.keyring)


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    """A repository with one unsigned commit; the home is short, for the agent's socket."""
    with tempfile.TemporaryDirectory(prefix="g") as home:
        yield Signed(tmp_path, Path(home))
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)


def told(result: Diff) -> list[tuple[str, Severity]]:
    return [(str(one.evidence["kind"]), one.severity) for one in result.findings if one.rule == "authorship-mismatch"]


def test_a_commit_by_a_key_of_its_committer_is_verified_also_where_the_key_ran_out_since(signed: Signed) -> None:
    signed.key("ada", lasts="2026-04-01")
    signed.commit("second\n\nwith a body\n", "ada")
    result = signed.diff()
    assert told(result) == []
    assert result.to_json()["history"]["verified"] == 1
    assert result.to_json()["history"]["signatures"] == {"openpgp": 1}


def test_a_strange_key_another_person_and_no_signature_are_told_apart(signed: Signed) -> None:
    base = signed.git("rev-parse", "HEAD").strip()
    signed.key("ada")
    signed.key("mallory", listed=False)
    signed.commit("strange", "mallory")
    signed.commit("in the name of bob", "ada", who="bob")
    signed.git("commit", "-q", "--allow-empty", "-m", "unsigned")
    assert sorted(told(signed.diff(base))) == [
        ("signature another", Severity.MEDIUM),
        ("signature unknown", Severity.MEDIUM),
        ("signature unsigned", Severity.MEDIUM),
    ]


def test_other_content_and_a_key_that_had_run_out_do_not_verify(signed: Signed) -> None:
    signed.key("ada")
    signed.commit("honest", "ada", then="hostile\n")
    assert told(signed.diff()) == [("signature bad", Severity.HIGH)]
    signed.key("old", made="20250101T000000", lasts="2025-03-01")
    signed.commit("late", "old", who="old", at="20250201T000000")
    assert told(signed.diff()) == [("signature bad", Severity.HIGH)]


def test_a_signature_over_a_weak_digest_does_not_verify(signed: Signed) -> None:
    signed.key("ada", kind="rsa2048")
    signed.commit("strong", "ada")
    assert told(signed.diff()) == []
    signed.commit("weak", "ada", digest="SHA1")
    assert told(signed.diff()) == [("signature bad", Severity.HIGH)]


def test_a_commit_of_a_time_beyond_the_clock_of_gpg_does_not_verify(signed: Signed) -> None:
    signed.key("ada")
    signed.commit("far", "ada", when=(1 << 32) + 1_772_323_200)
    assert ("signature bad", Severity.HIGH) in told(signed.diff())
    assert verify([], signed.place, b"", b"", (1 << 32) - 86_400) is False


def test_a_keyring_that_is_none_and_a_missing_program_are_one_line(
    signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.git("commit", "-q", "--allow-empty", "-m", "second")
    with pytest.raises(InputError, match="no such keyring"):
        signed.diff()
    signed.keyring.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n", encoding="ascii")
    with pytest.raises(InputError, match="without --armor"):
        signed.diff()
    monkeypatch.setattr("diffing._openpgp.shutil.which", lambda _: None)
    with pytest.raises(SandboxMissingError, match="gpg is missing"):
        signed.diff()
