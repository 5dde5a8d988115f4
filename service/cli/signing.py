# SPDX-License-Identifier: Apache-2.0
"""``sign``, ``verify``, ``gate``: putting a name to a revision, and checking it offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import signoff
from evidence import InputError, canonical
from service.cli.deciding import Decider
from service.cli.output import as_text, leave, say, show, write

if TYPE_CHECKING:
    from evidence import Json

_FAILED = 1
_MADE = "made"
_MAX_STATEMENT = 64 << 10
_PAE = b"DSSEv1 28 application/vnd.in-toto+json "

_Policy = Annotated[Path, typer.Option("--policy", help="The reviewer's policy file.")]
_Roots = Annotated[Path, typer.Option("--roots", help="The roots file: whose keys count.")]
_Now = Annotated[str | None, typer.Option("--at", help="Judge at this time instead of now, as 2026-01-31T12:00:00Z.")]
_At = Annotated[
    str | None, typer.Option("--at", help="Judge at this time instead of now, as 2026-01-31T12:00:00Z, or: made.")
]
_Format = Annotated[str, typer.Option(help="text or json.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sign)
    app.command("verify")(verify_command)
    app.command("gate")(gate_command)


def sign(  # noqa: PLR0913, PLR0917 - one parameter an option
    revision: Annotated[
        Path, typer.Argument(help="The prepared statement: statement.json or statement.pae of the page.")
    ],
    key: Annotated[
        Path | None, typer.Option("--key", help="An OpenSSH private key, or the public one of an agent's.")
    ] = None,
    signer: Annotated[
        str | None, typer.Option(help="Instead of --key: a securesystemslib URI, as hsm:2, awskms:… or file2:PATH.")
    ] = None,
    public: Annotated[Path | None, typer.Option(help="With --signer: its public key, an OpenSSH line.")] = None,
    repo: Annotated[
        Path, typer.Option(help="Your own clone, out of which manifest and diff are computed anew.")
    ] = Path(),
    artifact: Annotated[
        list[str] | None, typer.Option("--artifact", help="NAME=FILE that you hold, as often as needed.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Where the change starts; found by the signed tree if left out.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="The reviewer's rules that the diff was made with (TOML).")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the envelope here; by default beside the statement.")] = None,
    *,
    unsafe_unseen: Annotated[
        bool, typer.Option("--unsafe-unseen", help="Sign what the server says, without computing anything anew.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Sign the statement of a revision, if manifest and diff computed anew from your clone are the statement's.

    Shows what it says, signs its exact bytes, and writes a DSSE envelope to hand in.
    """
    if (key is None) == (signer is None) or (signer is None) != (public is None):
        raise InputError("give either --key, or --signer with --public")
    payload = _payload(revision)
    statement = signoff.read_statement(payload)
    say(_summary(statement))
    if unsafe_unseen:
        say("warning: --unsafe-unseen: neither manifest nor diff was computed anew; you sign what the server says")
    else:
        from service.cli.recomputing import recomputed  # noqa: PLC0415 - brings git and the diff, which others need not

        say(recomputed(statement, repo, _artifacts(artifact or []), base=base, rules=rules))
    if not yes and not typer.confirm("Sign this?", err=True):
        raise InputError("nothing was signed")
    envelope = _signed(payload, key, signer, public)
    place = out or revision.with_name(f"{revision.name}.dsse.json")
    write(place, canonical(envelope.to_json()))
    show(str(place))


def _signed(payload: bytes, key: Path | None, signer: str | None, public: Path | None) -> signoff.Envelope:
    if key is not None:
        return signoff.envelope_from_ssh(payload, signoff.sign_with_ssh_key(key, signoff.pae(payload)))
    if signer is None or public is None:
        raise InputError("give either --key, or --signer with --public")
    known = signoff.PublicKey.from_line(public.read_text(encoding="utf-8"), str(public))
    signature = signoff.sign_with_signer(
        signer, known, signoff.pae(payload), lambda what: str(typer.prompt(what, hide_input=True, err=True))
    )
    return signoff.envelope_from_raw(payload, signature, known)


def verify_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle's file.")],
    roots: _Roots,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Judge it by this policy; by default by what the bundle carries.")
    ] = None,
    at: _At = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Check what a bundle says of itself: signatures, people, policy, log, times. Nothing is admitted by this.

    Of one that has become too old it says what it came to when it was made; --at made judges as of then.
    """
    moment = signoff.made_at(bundle, roots) if at == _MADE else _moment(at)
    result = signoff.verify(bundle, roots, moment, policy)
    _finish(result, holds=result.holds, form=format)


def gate_command(  # noqa: PLR0913, PLR0917 - one argument an option
    repo: Annotated[Path, typer.Option("--repo", help="What is to be deployed: a repository or a checkout.")],
    policy: _Policy,
    roots: _Roots,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="The bundle's file.")] = None,
    artifact: Annotated[list[str] | None, typer.Option("--artifact", help="NAME=FILE, as often as needed.")] = None,
    break_glass: Annotated[
        Path | None, typer.Option("--break-glass", help="An emergency's approvals; recorded whatever comes of them.")
    ] = None,
    gate_id: Annotated[str | None, typer.Option("--gate-id", help="This gate's id, as in the roots file.")] = None,
    gate_key: Annotated[Path | None, typer.Option("--gate-key", help="The Ed25519 key that signs decisions.")] = None,
    vsa: Annotated[Path | None, typer.Option("--vsa", help="Write the signed decision (a SLSA VSA) here.")] = None,
    report: Annotated[
        str | None, typer.Option("--report", help="Post the decision to this service; token in COUNTERSIGN_TOKEN.")
    ] = None,
    at: _At = None,
    format: _Format = "text",  # noqa: A002 - the option's name
    *,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back: sign-offs count that have expired, if nothing is revoked.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge, with the same exit status; write and send no decision.")
    ] = False,
) -> None:
    """Say whether exactly this may go out: exit 0 yes, 1 no, with the step that failed. Needs no network."""
    if at is not None and not dry_run:
        raise InputError("--at asks what came of it at another time; that admits nothing now: add --dry-run")
    if at == _MADE and bundle is None:
        raise InputError("--at made asks what a --bundle came to once: give one")
    moment = signoff.made_at(bundle, roots) if bundle is not None and at == _MADE else _moment(at)
    decider = Decider.of(gate_id, gate_key, vsa, report)
    if break_glass is not None and vsa is None and report is None and not dry_run:
        raise InputError("--break-glass is recorded or not done: give --gate-id, --gate-key, and --vsa or --report")
    emergencies = signoff.Emergencies(rollback, break_glass)
    result = signoff.gate(bundle, repo, _artifacts(artifact or []), policy, roots, moment, emergencies)
    said: dict[str, Json] = {"dry_run": dry_run, "reported": None}
    if decider is not None and not dry_run:
        said["reported"] = decider.decide(result, moment)
    if format == "json":
        show(as_text({**result.to_json(), **said}))
    else:
        show(_steps(result) + ("\n(a dry run: no decision was written or sent)" if dry_run else ""))
    leave(0 if result.admitted else _FAILED)


def _finish(result: signoff.GateResult, *, holds: bool, form: str) -> None:
    if form == "json":
        show(as_text(result.to_json()))
    else:
        show(_steps(result))
    leave(0 if holds else _FAILED)


def _steps(result: signoff.GateResult) -> str:
    words = {True: "ok", False: "REFUSED", None: "-"}
    lines = [f"{step.number}  {words[step.ok]:<7}  {step.name}: {step.detail}" for step in result.steps]
    if result.break_glass is not None:
        broken = result.break_glass
        lines.append(f"break glass: {'' if broken.admits else 'REFUSED: '}{broken.detail}")
    if result.admitted and not result.reviewed:
        lines.append("admitted by breaking the glass, not by a review")
    elif result.admitted:
        lines.append("admitted as a rollback" if result.rollback else "admitted")
    elif result.refused is not None:
        lines.append(f"refused at step {result.refused.number}, {result.refused.name}")
        if result.as_made is not None:
            held = result.as_made.refused
            then = "all of it held" if held is None else f"refused at step {held.number}, {held.name}"
            lines.append(f"as of {signoff.format_time(result.as_made.at)}, when it was made: {then}")
    else:
        lines.append("holds, as far as was looked at; nothing is admitted without repository and policy")
    return "\n".join(lines)


def _payload(path: Path) -> bytes:
    """The statement's bytes, out of the statement itself or of the bytes that are signed."""
    with path.open("rb") as file:
        content = file.read(_MAX_STATEMENT + 1)
    if len(content) > _MAX_STATEMENT:
        raise InputError(f"{path}: over {_MAX_STATEMENT} bytes; that is no statement")
    if not content.startswith(_PAE):
        return content
    payload = content.removeprefix(_PAE).split(b" ", 1)[-1]
    if signoff.pae(payload) != content:
        raise InputError(f"{path}: damaged: its length is not what it says; download it again")
    return payload


def _summary(statement: signoff.Statement) -> str:
    predicate = statement.predicate
    change = predicate.change
    reviewer = predicate.reviewer
    lines = [
        f"{predicate.decision} by {reviewer.name} ({reviewer.id}, {reviewer.organization})",
        f"  {change.repository} to {change.targetRef}, head {change.headCommit}",
        f"  revision {statement.revision}",
        f"  {predicate.meaning}",
        *(f"  condition: {condition}" for condition in predicate.conditions),
        *_coverage(predicate),
        *([f"  overrules {predicate.override.verdict}: {predicate.override.reason}"] if predicate.override else []),
        f"  counts from {predicate.signedAt} until {predicate.expiresAt}",
    ]
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)


def _coverage(predicate: signoff.Predicate) -> list[str]:
    """What was looked at, and what was not, as the statement will say it."""
    said = predicate.coverage
    return [
        f"  {said.viewed} of {said.files} files viewed, {said.answered} of {said.findings} findings answered",
        *(f"  not inspected: {what}" for what in predicate.notInspected),
        *(f"  waived: {one.path}: {one.reason}" for one in said.waived),
        *(
            f"  left as it is: {one.rule} ({one.severity}), {one.answer} by {one.by}: {one.reason}"
            for one in said.waivedFindings or ()
        ),
        *([f"  and {said.waivedUnlisted} more findings answered"] if said.waivedUnlisted else []),
    ]


def _artifacts(given: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in given:
        name, equals, path = entry.partition("=")
        if not equals or not name or not path:
            raise InputError(f"--artifact {entry[:80]!r}: write NAME=FILE")
        if name in found:
            raise InputError(f"--artifact {name[:80]!r} is given twice")
        found[name] = Path(path)
    return found


def _moment(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise InputError(f"--at {at[:40]!r} is no time; write it as 2026-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
