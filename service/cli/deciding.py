# SPDX-License-Identifier: Apache-2.0
"""What a gate leaves behind: its decision signed, written and sent. And approvals for breaking the glass."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

import signoff
from evidence import InputError, canonical
from service.cli.output import as_text, say, show, write

_Key = Annotated[Path, typer.Option("--key", help="An OpenSSH private key, or the public one of an agent's.")]

_SECONDS = 10.0
_MOST = 4 << 20
_TAKEN = 2  # the first digit of a status that says so
_REVIEW_DAYS = 3


@dataclass(frozen=True, slots=True)
class Decider:
    """A gate's id and key, and where its decisions go."""

    gate: str
    key: signoff.MachineKey
    file: Path | None
    url: str | None

    @staticmethod
    def of(gate: str | None, key: Path | None, file: Path | None, url: str | None) -> Decider | None:
        """Who decides; None where no decision is asked for.

        Raises:
            InputError: one option without the other; a key that cannot be used.
        """
        if gate is None and key is None and file is None and url is None:
            return None
        if gate is None or key is None:
            raise InputError("a decision is signed: give --gate-id and --gate-key")
        return Decider(gate, signoff.MachineKey.load(key), file, url)

    def decide(self, result: signoff.GateResult, moment: datetime) -> bool | None:
        """Sign the decision, write it, send it. What goes wrong is said, and changes no verdict.

        Returns:
            Whether it was delivered; None if it was to be sent nowhere.
        """
        try:
            envelope = self.key.sign(canonical(signoff.build_summary(result, gate_id=self.gate, now=moment)))
            content = canonical(envelope.to_json())
            if self.file is not None:
                write(self.file, content)
        except (InputError, OSError) as error:
            say(f"countersign: the decision was not written: {error}")
            return False
        return None if self.url is None else _delivered(self.url, content)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("break-glass")(break_glass)
    app.command("report-decision")(report_decision)
    app.command("report-rollout")(report_rollout)


def report_decision(
    decision: Annotated[Path, typer.Argument(help="What gate --vsa wrote.")],
    report: Annotated[str, typer.Option("--report", help="The service; token in COUNTERSIGN_TOKEN.")],
) -> None:
    """Deliver a gate's decision that could not be delivered at the time."""
    if not _delivered(report, _content(decision)):
        raise InputError("the decision was not delivered")


def report_rollout(
    repository: Annotated[str, typer.Argument(help="The repository, by the name that the service knows it by.")],
    head: Annotated[str, typer.Argument(help="The commit that was rolled out, in full.")],
    report: Annotated[str, typer.Option("--report", help="The service; token in COUNTERSIGN_TOKEN.")],
    revision: Annotated[str | None, typer.Option(help="The revision that was rolled out, sha256:…")] = None,
    at: Annotated[str | None, typer.Option("--at", help="When, as 2026-01-31T12:00:00Z; now if left out.")] = None,
) -> None:
    """Tell the reviewer's service that something was rolled out; without a gate's decision on it, an incident."""
    moment = signoff.parse_time(at, "--at") if at is not None else datetime.now(UTC)
    said = {"repository": repository, "head": head, "revision": revision, "at": signoff.format_time(moment)}
    if not _delivered(report, canonical(said), "rollouts", "the rollout"):
        raise InputError("the rollout was not reported")


def break_glass(  # noqa: PLR0913, PLR0917 - one argument an option
    revision: Annotated[Path, typer.Argument(help="A bundle, a revision manifest, or earlier approvals of it.")],
    key: _Key,
    by: Annotated[str, typer.Option("--by", help="Your id in the roots file.")],
    reason: Annotated[str, typer.Option("--reason", help="Why this cannot wait for a review.")],
    policy: Annotated[Path, typer.Option("--policy", help="The reviewer's policy file.")],
    roots: Annotated[Path, typer.Option("--roots", help="The roots file.")],
    out: Annotated[Path, typer.Option("--out", help="Where the file of approvals goes.")],
    target: Annotated[str, typer.Option("--target", help="Where it is to go.")] = "refs/heads/main",
    hours: Annotated[int, typer.Option("--hours", min=1, help="How long this counts.")] = 4,
    made_by: Annotated[
        list[str] | None,
        typer.Option(
            "--made-by", help="Address or account of who pushed it, launched its training or supplied its artifacts."
        ),
    ] = None,
    *,
    nobody_else: Annotated[
        bool, typer.Option("--nobody-else", help="To your knowledge nobody but those whom the commits name.")
    ] = False,
) -> None:
    """Approve that a revision goes out without a review, in an emergency. It takes people of two organisations."""
    content = _content(revision)
    subject, earlier = signoff.read_bundle_revision(content)
    makers = {*signoff.read_bundle_people(content), *(("", one) if "@" in one else (one, "") for one in made_by or ())}
    if made_by and nobody_else:
        raise InputError("--made-by and --nobody-else contradict each other")
    if not makers and not nobody_else:
        raise InputError("say who else had a hand in it: --made-by ADDRESS, as often as needed, or --nobody-else")
    person = signoff.read_roots(roots).person(by)
    if person is None:
        raise InputError(f"{roots}: nobody of the id {by!r}")
    moment = datetime.now(UTC)
    times = signoff.EmergencyTimes(
        secrets.token_urlsafe(24), moment, moment + timedelta(hours=hours), moment + timedelta(days=_REVIEW_DAYS)
    )
    document = signoff.build_emergency(
        revision=subject,
        target_ref=target,
        reason=reason,
        approver=person.reviewer(signoff.BREAK_GLASS_ROLE),
        people=makers,
        policy=f"sha256:{signoff.read_policy(policy).digest}",
        times=times,
    )
    say(f"{by} lets out {subject.repository} at {subject.head.commit} for {hours} h without a review: {reason}")
    payload = canonical(document)
    signature = signoff.sign_with_ssh_key(key, signoff.pae(payload))
    envelope = signoff.envelope_from_ssh(payload, signature)
    write(out, signoff.build_break_glass(subject, [*earlier, envelope]))
    show(as_text({"approvals": len(earlier) + 1, "file": str(out)}))


def _delivered(url: str, content: bytes, where: str = "gate-decisions", what: str = "the decision") -> bool:
    """Whether the service took a decision, or what else it is. Why not is said."""
    import httpx2  # noqa: PLC0415 - what the other commands need not wait for

    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    place = f"{url.rstrip('/')}/api/v1/{where}"
    try:
        with httpx2.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client:
            answer = client.post(place, content=content, headers={"Authorization": f"Bearer {token}"})
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        say(f"countersign: {what} was not delivered to {place}: {error}; deliver it later")
        return False
    if answer.status_code // 100 != _TAKEN:
        say(f"countersign: {place} did not take {what}: {answer.status_code}; deliver it later")
        return False
    return True


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise InputError(f"{path}: over {_MOST} bytes")
    return data
