# SPDX-License-Identifier: Apache-2.0
"""Signatures of commits against a reviewer's list of who may sign."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from confine import Repository
from diffing import diff
from evidence import InputError, SandboxMissingError, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from diffing import Diff

ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


class Signed:
    """A repository whose commits are signed by keys made for it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.allowed = place / "allowed"
        (place / "repository").mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("first", None)

    def key(self, name: str, options: str = "", *, listed: bool = True) -> Path:
        path = self.place / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
        if listed:
            public = path.with_suffix(".pub").read_text(encoding="ascii")
            with self.allowed.open("a", encoding="ascii") as file:
                file.write(f"{name}@example.org {options}{public}")
        return path

    def git(self, *arguments: str, who: str = "ada") -> str:
        fixed = dict(ENVIRONMENT)
        for role in ("AUTHOR", "COMMITTER"):
            fixed |= {f"GIT_{role}_NAME": who, f"GIT_{role}_EMAIL": f"{who}@example.org"}
            fixed[f"GIT_{role}_DATE"] = "2026-03-01T00:00:00Z"
        command = ["git", "-C", str(self.place / "repository"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=fixed).stdout

    def commit(self, message: str, key: Path | None, who: str = "ada") -> None:
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []
        self.git(*signing, "commit", "-q", "--allow-empty", "-m", message, *(["-S"] if key else []), who=who)

    def diff(self, base: str = "HEAD~1", *, listed: bool = True) -> Diff:
        with Repository.open(self.place / "repository") as repository:
            return diff(repository, base, "HEAD", signers=self.allowed if listed else None)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    """A repository with one unsigned commit."""
    return Signed(tmp_path)


def told(result: Diff) -> list[tuple[str, Severity]]:
    return [(str(one.evidence["kind"]), one.severity) for one in result.findings if one.rule == "authorship-mismatch"]


def test_a_commit_by_a_listed_key_of_its_committer_is_verified(signed: Signed) -> None:
    signed.commit("second\n\nwith a body\n", signed.key("ada"))
    result = signed.diff()
    assert told(result) == []
    assert result.to_json()["history"] == {
        "commits": 1, "signed": 1, "signatures": {"ssh": 1}, "verified": 1, "base_is_ancestor": True,
    }  # fmt: skip
    assert signed.diff(listed=False).to_json()["history"]["verified"] is None


def test_no_signature_a_strange_key_and_another_person_are_told_apart(signed: Signed) -> None:
    base = signed.git("rev-parse", "HEAD").strip()
    ada, mallory = signed.key("ada"), signed.key("mallory", listed=False)
    signed.commit("unsigned", None)
    signed.commit("strange", mallory)
    signed.commit("in the name of bob", ada, who="bob")
    result = signed.diff(base)
    assert sorted(told(result)) == [
        ("signature another", Severity.MEDIUM),
        ("signature unknown", Severity.MEDIUM),
        ("signature unsigned", Severity.MEDIUM),
    ]
    assert result.history is not None
    assert (result.history.signed, result.history.verified) == (2, 0)


def test_a_signature_moved_to_other_content_does_not_verify(signed: Signed) -> None:
    signed.commit("honest", signed.key("ada"))
    raw = signed.git("cat-file", "commit", "HEAD").replace("honest", "hostile")
    (signed.place / "forged").write_text(raw, encoding="ascii")
    forged = signed.git("hash-object", "-t", "commit", "-w", str(signed.place / "forged")).strip()
    signed.git("update-ref", "refs/heads/main", forged)
    assert told(signed.diff()) == [("signature bad", Severity.HIGH)]


def test_a_key_that_was_not_valid_when_the_commit_was_made_is_unknown(signed: Signed) -> None:
    signed.commit("late", signed.key("ada", 'valid-before="20260101" '))
    assert told(signed.diff()) == [("signature unknown", Severity.MEDIUM)]


@pytest.mark.parametrize(
    "armored",
    ["-----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----"],
)
def test_openpgp_is_not_verified_and_a_broken_signature_is_bad(signed: Signed, armored: str) -> None:
    signed.key("ada")
    signed.commit("second", None)
    raw = signed.git("cat-file", "commit", "HEAD").replace("\n\nsecond", f"\ngpgsig {armored}\n\nsecond")
    (signed.place / "made").write_text(raw, encoding="ascii")
    made = signed.git("hash-object", "-t", "commit", "-w", "--literally", str(signed.place / "made")).strip()
    signed.git("update-ref", "refs/heads/main", made)
    wanted = ("signature not-verified", Severity.LOW) if "PGP" in armored else ("signature bad", Severity.HIGH)
    assert told(signed.diff()) == [wanted]


def test_a_list_that_is_not_there_and_a_missing_program_are_one_line(
    signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.commit("second", None)
    with pytest.raises(InputError, match="no such file of allowed signers"):
        signed.diff()
    monkeypatch.setattr("diffing._signatures.shutil.which", lambda _: None)
    with pytest.raises(SandboxMissingError, match="ssh-keygen is missing"):
        signed.diff()
