# SPDX-License-Identifier: Apache-2.0
"""``diff``, ``compare``, ``audit``, ``review``: what a change is and what it does, without a service."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

import behavior
import confine
import diffing
import reports
from evidence import Artifact, InputError, Json, Revision, Severity, Verdict, file_sha256
from service.artifacts import Artifacts, compare_artifacts
from service.cli import words
from service.cli.output import as_text, leave, say, screen, show, write
from service.cli.several import SeveralValues
from service.trees import tree_digest

_Format = Annotated[str, typer.Option(help="text or json.")]
_Panel = Annotated[Path, typer.Option("--panel", help="The panel's folder.")]
_Rules = Annotated[Path | None, typer.Option(help="The reviewer's own severities and names of user data (TOML).")]
_Keys = Annotated[
    Path | None,
    typer.Option("--provenance-keys", help="Public keys (PEM) that statements beside models must verify with."),
]
_Signers = Annotated[
    Path | None,
    typer.Option("--allowed-signers", help="Who may sign commits, as in ssh-keygen(1): each must be signed."),
]
_Keyring = Annotated[
    Path | None,
    typer.Option("--openpgp-keyring", help="The same by OpenPGP: public keys as gpg --export writes them."),
]
_Limit = Annotated[str, typer.Option("--fail-on", help="The least severity that fails: info to critical.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("diff")(diff_command)
    app.command("compare", cls=SeveralValues)(compare_command)
    app.command("audit")(audit_command)
    app.command("review")(review_command)


def diff_command(  # noqa: PLR0913 - one parameter an option
    repo: Annotated[Path, typer.Argument(help="A repository, bare or not.")],
    base: Annotated[str, typer.Argument(help="Anything git rev-parse takes.")],
    head: Annotated[str, typer.Argument(help="The same.")],
    *,
    baseline: Annotated[
        str | None, typer.Option(help="The last signed commit: what moved in many small steps since then is a ramp.")
    ] = None,
    rules: _Rules = None,
    wheels: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Two folders, of the wheels that base and head are installed from: what is in them differs how?"
        ),
    ] = None,
    provenance_keys: _Keys = None,
    allowed_signers: _Signers = None,
    openpgp_keyring: _Keyring = None,
    title: Annotated[str | None, typer.Option(help="What the change says of itself; the messages by default.")] = None,
    format: Annotated[str, typer.Option(help="text, json or sarif.")] = "text",  # noqa: A002 - the option's name
    fail_on: _Limit = "high",
    all_: Annotated[bool, typer.Option("--all", help="Show everything, also where it does not fit a screen.")] = False,
) -> None:
    """Show what changed between two commits. Exit 1 if a finding weighs --fail-on, 3 if something was not analysed."""
    _one_of("--format", format, ("text", "json", "sarif"))
    severity = _severity(fail_on)
    own = diffing.read_rules(rules) if rules else None
    with confine.Repository.open(repo) as repository:
        _two(repository, base, head)
        result = diffing.diff(
            repository, base, head, baseline=baseline, rules=own, title=title, wheels=wheels,
            keys=diffing.read_keys(provenance_keys) if provenance_keys else None,
            signers=allowed_signers, keyring=openpgp_keyring,
        )  # fmt: skip
    verdict = result.verdict_at(severity)
    document = {**result.to_json(), "verdict": verdict.value}
    if format == "text":
        show(reports.diff_text(document, screen(whole=all_)))
    else:
        show(as_text(reports.sarif_document(document) if format == "sarif" else document))
    leave(verdict.exit_code)


def compare_command(  # noqa: PLR0913 - one parameter an option
    base_slates: Annotated[Path, typer.Argument(help="What base recommended: Parquet or JSON Lines.")],
    head_slates: Annotated[Path, typer.Argument(help="What head recommended.")],
    panel: _Panel,
    *,
    anchor: Annotated[Path | None, typer.Option(help="What an earlier version recommended.")] = None,
    base_rebuild: Annotated[
        list[Path] | None, typer.Option(help="What other builds of base recommended, of other seeds; several.")
    ] = None,
    head_rebuild: Annotated[
        list[Path] | None, typer.Option(help="What other builds of head recommended, of other seeds; several.")
    ] = None,
    revision: Annotated[
        int | None, typer.Option(help="The how-manieth look at this change it is: alpha is spent over them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the document to this file too.")] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Compare recorded slates on a panel."""
    _one_of("--format", format, ("text", "json"))
    whom = behavior.read_panel(panel)

    def read(path: Path) -> behavior.Slates:
        return behavior.read_slates(path, whom, say=say)

    with ThreadPoolExecutor(max_workers=2) as pool:  # reading is the libraries' work, which two processors share
        base, head = pool.map(read, (base_slates, head_slates))
    result = behavior.compare(
        whom,
        base,
        head,
        anchor=read(anchor) if anchor else None,
        base_rebuilds=[read(path) for path in base_rebuild or ()],
        head_rebuilds=[read(path) for path in head_rebuild or ()],
        revision=revision,
    )
    _finish_audit(result.to_json(), out, format)


def audit_command(
    base_dir: Annotated[Path, typer.Argument(help="Base's files, with their countersign.toml.")],
    head_dir: Annotated[Path, typer.Argument(help="Head's files.")],
    panel: _Panel,
    *,
    anchor: Annotated[Path | None, typer.Option(help="An earlier version's files.")] = None,
    probes: Annotated[str | None, typer.Option(help="Only these, by comma: exposure, discovery and so on.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write audit.json into this folder too.")] = None,
    format: _Format = "text",  # noqa: A002 - the option's name
    unsafe_no_sandbox: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run hostile code unconfined. The evidence is marked unsafe.")
    ] = False,
) -> None:
    """Run two versions over a panel, in the sandbox, and judge what changed."""
    _one_of("--format", format, ("text", "json"))
    _known_probes(probes)
    whom = behavior.read_panel(panel)
    if unsafe_no_sandbox:
        say("warning: --unsafe-no-sandbox runs the recommenders unconfined; no policy accepts this evidence")
    result = behavior.audit(
        whom,
        _side(base_dir),
        _side(head_dir),
        anchor=_side(anchor) if anchor else None,
        unsafe_no_sandbox=unsafe_no_sandbox,
        progress=say,
    )
    _finish_audit(result.to_json(), _inside(out, "audit.json"), format)


def review_command(  # noqa: PLR0913 - one parameter an option
    repo: Annotated[Path, typer.Argument(help="A repository, bare or not.")],
    base: Annotated[str, typer.Argument(help="Anything git rev-parse takes.")],
    head: Annotated[str, typer.Argument(help="The same.")],
    *,
    panel: Annotated[Path | None, typer.Option(help="The panel's folder; without one nothing is run.")] = None,
    anchor: Annotated[str | None, typer.Option(help="An earlier commit to hold head against too.")] = None,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of artifacts that are not in the repository; base and head in it are each side's own."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write revision, diff, audit and report into this folder.")] = None,
    rules: _Rules = None,
    provenance_keys: _Keys = None,
    allowed_signers: _Signers = None,
    openpgp_keyring: _Keyring = None,
    format: Annotated[str, typer.Option(help="json, html, markdown or sarif.")] = "json",  # noqa: A002 - the option's name
) -> None:
    """Diff and audit a change, and report. Without a panel the verdict is at best inconclusive."""
    _one_of("--format", format, ("json", "html", "markdown", "sarif"))
    _inside(out, "")
    own = diffing.read_rules(rules) if rules else None
    whom = behavior.read_panel(panel) if panel else None
    with confine.Repository.open(repo) as repository, tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        _two(repository, base, head)
        keys = diffing.read_keys(provenance_keys) if provenance_keys else None
        result = diffing.diff(
            repository, base, head, rules=own, keys=keys, signers=allowed_signers, keyring=openpgp_keyring
        )
        audited: Json | None = None
        if whom is not None:
            refs = {"base": base, "head": head, **({"anchor": anchor} if anchor else {})}
            sides = {
                name: _exported(repository, ref, Path(folder, name), _beside(artifacts, name))
                for name, ref in refs.items()
            }
            audited = behavior.audit(
                whom, sides["base"], sides["head"], anchor=sides.get("anchor"), progress=say
            ).to_json()
            declared = _declared(sides["head"])
        else:
            declared = _declared_in(repository, head, Path(folder, "head"), _beside(artifacts, "head"))
        models = _models(repository, {"base": base, "head": head}, artifacts, whom, keys)
        found = models.weighed(own or diffing.ReviewerRules()).to_json() if models is not None else None
        revision = Revision(repo.resolve().name, result.base, result.head, declared)
        document = reports.report_document(
            revision, result.to_json(), audited, artifacts=found, title=_subject(repository, head)
        )
        page = reports.report_html(document, ((change, diffing.hunks(repository, change)) for change in result.files))
    if out is not None:
        write(out / "revision.json", revision.canonical())
        write(out / "diff.json", as_text(result.to_json()))
        if audited is not None:
            write(out / "audit.json", as_text(audited))
        if models is not None and found is not None:
            write(out / "artifacts.json", as_text(found))
            for name, model in models.models.items():
                write(out / f"model-{name}.json", as_text(model.to_json()))
        write(out / "report.json", as_text(document))
        write(out / "report.html", page)
    if format in {"html", "markdown"}:
        show(page if format == "html" else reports.report_markdown(document))
    else:
        show(as_text(reports.sarif_document(result.to_json(), audited, found) if format == "sarif" else document))
    leave(Verdict(document["verdict"]).exit_code)


def _finish_audit(document: Json, out: Path | None, form: str) -> None:
    if out is not None:
        write(out, as_text(document))
    show(as_text(document) if form == "json" else words.audit_text(document))
    leave(Verdict(document["verdict"]).exit_code)


def _side(tree: Path) -> behavior.Side:
    if not tree.is_dir():
        raise InputError(f"{tree}: no such folder")
    artifacts = behavior.locate_artifacts(tree, behavior.read_manifest(tree))
    return behavior.Side(tree=tree, artifacts=artifacts, digest=tree_digest(tree))


def _exported(repository: confine.Repository, ref: str, into: Path, beside: Path | None) -> behavior.Side:
    """A side with its artifacts; those beside the repository are copies, opened without following a link."""
    from service.submitted import exported  # noqa: PLC0415 - brings the database's imports

    placed, digest = exported(repository, repository.resolve(ref), beside, into)
    return behavior.Side(into, {name: one.file for name, one in placed.items()}, digest)


def _declared(side: behavior.Side) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(name, path.stat().st_size, file_sha256(path)) for name, path in sorted(side.artifacts.items())
    )


def _beside(artifacts: Path | None, side: str) -> Path | None:
    """Where a side's artifacts are: in a folder of its own, or all in one."""
    if artifacts is not None and (artifacts / "base").is_dir() and (artifacts / "head").is_dir():
        return artifacts / ("base" if side == "anchor" and not (artifacts / side).is_dir() else side)
    return artifacts


def _models(
    repository: confine.Repository,
    refs: dict[str, str],
    artifacts: Path | None,
    panel: behavior.Panel | None,
    keys: diffing.Keys | None,
) -> Artifacts | None:
    """The declared artifacts outside the repository, base's against head's, where each side has a folder of its own."""
    if artifacts is None or _beside(artifacts, "head") == artifacts:
        return None
    from service.submitted import exported  # noqa: PLC0415 - as above

    found = {}
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        for name, ref in refs.items():
            into, beside = Path(folder, name), _beside(artifacts, name)
            placed, _ = exported(repository, repository.resolve(ref), beside, into)
            found[name] = {key: one for key, one in placed.items() if not one.told}
        return compare_artifacts(found["base"], found["head"], panel, keys)


def _declared_in(repository: confine.Repository, ref: str, into: Path, beside: Path | None) -> tuple[Artifact, ...]:
    """Head's artifacts where nothing is run: a commit without a manifest declares none."""
    commit = repository.resolve(ref)
    if "countersign.toml" not in repository.tree(commit):
        return ()
    return _declared(_exported(repository, commit, into, beside))


def _two(repository: confine.Repository, base: str, head: str) -> None:
    """Empty input is no pass: a pipeline that compares a commit with itself has a mistake in it."""
    commit = repository.resolve(head)
    if repository.resolve(base) == commit:
        raise InputError(f"base and head are the same commit {commit[:12]}: there is nothing to review")


def _subject(repository: confine.Repository, ref: str) -> str:
    return (repository.message(ref).strip().splitlines() or [""])[0]


def _severity(name: str) -> Severity:
    _one_of("--fail-on", name, tuple(severity.value for severity in Severity))
    return Severity(name)


def _known_probes(names: str | None) -> None:
    """All probes come from the same run: naming them asks for no less work, a name that there is not is an error."""
    for name in (names or "").split(","):
        if name.strip() not in {"", *behavior.AUDIT_PROBES}:
            known = ", ".join(behavior.AUDIT_PROBES)
            raise InputError(f"--probes: there is no probe {name.strip()[:40]!r}; there are {known}")


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{option} {value[:40]!r} is none of {', '.join(known)}")


def _inside(folder: Path | None, name: str) -> Path | None:
    if folder is None:
        return None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
