# SPDX-License-Identifier: Apache-2.0
"""Artifacts handed in over HTTP: resumed, hashed, whole or not at all, and each platform's its own."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import MANIFEST, NAME, TOKEN, finished, serve

from service import arrivals, uploads
from service.app import create_app
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CI = {"Authorization": f"Bearer {TOKEN}"}
THEIRS = {"Authorization": "Bearer another platform's token"}
COMMIT = "a" * 40
PARTIAL = {"Content-Type": "application/partial-upload"}
MORE, END = {"Upload-Complete": "?0"}, {"Upload-Complete": "?1"}
BYTES = b"".join(bytes([n % 251]) * 1000 for n in range(3000))


@pytest.fixture
def client(house: Any) -> Iterator[TestClient]:
    """The service, idle, with two platforms and small limits."""
    second = (
        '[[platforms]]\nname = "other"\nallow_local = true\npanel = "panel"\n'
        'submit_token = "another platform\'s token"\n'
        f'repositories = [{{name = "{NAME}", url = "file://{house.repository}"}}]\n'
    )
    (house.place / "data" / "platforms.toml").write_text(house.platforms() + second, encoding="utf-8")
    settings = house.settings.model_copy(update={"artifact_bytes": 4_000_000, "artifacts_bytes": 9_000_000})
    app = create_app(settings)
    yield TestClient(app, base_url="http://127.0.0.1:8000")
    app.state.context.close()


def begin(client: TestClient, path: str = "models/m.npz", content: Any = b"", headers: Any = MORE, **more: str) -> Any:
    asked = {"repository": NAME, "commit": COMMIT, "path": path} | more
    return client.post("/api/v1/artifacts", params=asked, content=content, headers=CI | headers)


def at(answer: Any) -> str:
    return str(answer.headers["location"]).removeprefix("http://127.0.0.1:8000")


def append(client: TestClient, url: str, offset: int, content: Any, *, end: bool = True, who: Any = CI) -> Any:
    headers = who | PARTIAL | (END if end else MORE) | {"Upload-Offset": str(offset)}
    return client.patch(url, content=content, headers=headers)


def placed(client: TestClient) -> list[Path]:
    """Every file that is in place."""
    data = client.app.state.settings.data  # type: ignore[attr-defined]
    return [path for path in (data / "artifacts").rglob("*") if path.is_file()]


def parts(client: TestClient) -> list[Path]:
    return list((client.app.state.settings.data / "uploads").iterdir())  # type: ignore[attr-defined]


def test_an_artifact_in_one_request_is_in_place_with_its_digest(client: TestClient) -> None:
    sent = begin(client, content=BYTES, headers={})
    assert sent.json() == {"status": "complete", "size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}
    assert (sent.status_code, sent.headers["upload-complete"]) == (201, "?1")
    (file,) = placed(client)
    assert (file.read_bytes(), file.parts[-3:], parts(client)) == (BYTES, (COMMIT, "models", "m.npz"), [])


def test_an_upload_goes_on_where_it_was_and_is_not_seen_before_its_end(client: TestClient) -> None:
    url = at(begin(client, content=BYTES[:1_200_000]))
    looked = client.head(url, headers=CI)
    assert (looked.status_code, looked.headers["upload-offset"], looked.headers["upload-complete"]) == (
        204,
        "1200000",
        "?0",
    )
    assert append(client, url, 1_200_000, BYTES[1_200_000:2_000_000], end=False).headers["upload-offset"] == "2000000"
    assert placed(client) == []
    for wrong in (0, 1_200_000, 2_000_001):
        assert append(client, url, wrong, b"x").status_code == 409
    uploads._running.clear()  # as after a restart
    done = append(client, url, 2_000_000, BYTES[2_000_000:])
    assert (done.status_code, done.json()["sha256"]) == (200, hashlib.sha256(BYTES).hexdigest())
    assert placed(client)[0].read_bytes() == BYTES
    assert client.head(url, headers=CI).headers["upload-complete"] == "?1"
    assert append(client, url, len(BYTES), b"more").json()["size"] == len(BYTES)
    assert client.delete(url, headers=CI).status_code == 409
    assert placed(client)[0].read_bytes() == BYTES


def test_a_sender_that_leaves_in_the_middle_goes_on_later(client: TestClient) -> None:
    upload = uploads.begin(
        client.app.state.context,  # type: ignore[attr-defined]
        uploads.Target("tiny", NAME, COMMIT, "m"),
        size=None,
        sha256=None,
    )
    url = f"/api/v1/uploads/{upload.id}"

    class Left(Exception):  # noqa: N818 - what the sender did
        pass

    def body() -> Iterator[bytes]:
        yield b"half"
        raise Left

    with pytest.raises(Left):
        append(client, url, 0, body())
    assert placed(client) == []
    here = int(client.head(url, headers=CI).headers["upload-offset"])
    assert append(client, url, here, b"half of it"[here:]).json()["size"] == 10


def test_two_requests_do_not_write_to_one_upload(client: TestClient) -> None:
    url = at(begin(client, content=b"first"))
    context = client.app.state.context  # type: ignore[attr-defined]
    upload = uploads.look(context, "tiny", url.rpartition("/")[2], lambda _: True)
    file = uploads.Appending(context, upload, 5)
    assert append(client, url, 5, b"x").status_code == 409
    file.close()
    assert append(client, url, 5, b" second").json()["size"] == 12


def test_what_is_in_place_is_not_exchanged_and_the_same_again_is_no_error(client: TestClient) -> None:
    assert begin(client, content=b"one", headers={}).status_code == 201
    assert begin(client, content=b"one", headers={}).status_code == 201
    assert begin(client, content=b"two", headers={}).status_code == 409
    assert begin(client, "models/m.npz/below", b"two", {}).status_code == 409
    assert begin(client, "models", b"two", {}).status_code == 409
    assert [file.read_bytes() for file in placed(client)] == [b"one"]
    assert parts(client) == []


def digest(content: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"}


def test_a_digest_that_was_said_is_held_to(client: TestClient) -> None:
    assert begin(client, content=b"right", headers=digest(b"right")).status_code == 201
    wrong = begin(client, "other", b"wrong", digest(b"right"))
    assert (wrong.status_code, len(placed(client)), parts(client)) == (422, 1, [])


def test_over_a_limit_nothing_is_kept(client: TestClient) -> None:
    large = b"x" * 4_000_001
    assert begin(client, content=large, headers={}).status_code == 413
    assert begin(client, content=iter([large]), headers={}).status_code == 413
    assert begin(client, headers=MORE | {"Upload-Length": "4000001"}).status_code == 413
    url = at(begin(client, headers=MORE | {"Upload-Length": "5"}))
    assert append(client, url, 0, b"sixsix").status_code == 413
    assert client.head(url, headers=CI).status_code == 404
    for n in range(3):
        begin(client, f"m{n}", BYTES, {})
    full = begin(client, "m3", BYTES, {})
    assert (full.status_code, "may have here" in full.json()["detail"]) == (413, True)
    assert (len(placed(client)), parts(client)) == (3, [])


def test_fewer_bytes_than_said_are_not_the_whole(client: TestClient) -> None:
    url = at(begin(client, headers=MORE | {"Upload-Length": "5"}))
    assert append(client, url, 0, b"four").status_code == 422
    assert placed(client) == []
    assert append(client, url, 4, b"5").json()["size"] == 5


def test_another_platform_finds_neither_the_upload_nor_the_file(client: TestClient) -> None:
    url = at(begin(client, content=b"mine"))
    for answer in (
        client.head(url, headers=THEIRS),
        append(client, url, 4, b"theirs", who=THEIRS),
        client.delete(url, headers=THEIRS),
        client.head("/api/v1/uploads/..%2f..", headers=CI),
        client.head(f"/api/v1/uploads/{'x' * 3000}", headers=CI),
    ):
        assert answer.status_code == 404
    assert append(client, url, 4, b"").json()["size"] == 4
    asked = {"repository": NAME, "commit": COMMIT, "path": "models/m.npz"}
    same = client.post("/api/v1/artifacts", params=asked, content=b"not the same", headers=THEIRS)
    assert same.status_code == 201  # the name is free for them, and says nothing of ours
    assert sorted(file.read_bytes() for file in placed(client)) == [b"mine", b"not the same"]
    assert client.head(url).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "a/",
        "..",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        "x" * 401,
        "\u202ea",
    ],
)
def test_a_path_that_leads_elsewhere_is_422(client: TestClient, path: str) -> None:
    answer = begin(client, path, b"x", {})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (placed(client), parts(client)) == ([], [])


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        ({}, {"commit": "main"}),
        ({}, {"commit": "../../x"}),
        ({}, {"repository": "someone/else"}),
        ({"Upload-Complete": "yes"}, {}),
        ({"Upload-Length": "-1"}, {}),
        ({"Upload-Length": "9" * 40}, {}),
        ({"Repr-Digest": "sha-256=:====:"}, {}),
        ({"Repr-Digest": "sha-256=:" + "=" * 44 + ":"}, {}),
    ],
)
def test_a_bad_request_leaves_nothing(client: TestClient, headers: dict[str, str], more: dict[str, str]) -> None:
    answer = begin(client, "m", b"", headers, **more)
    if headers.get("Repr-Digest") == "sha-256=:====:":
        assert answer.status_code == 201  # no digest in it that is known: RFC 9530 has it ignored
        return
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (placed(client), parts(client)) == ([], [])


def test_what_nobody_finishes_goes_after_a_day_and_there_are_not_too_many(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_UNFINISHED", 2)
    assert [begin(client, f"m{n}").status_code for n in range(3)] == [201, 201, 409]
    monkeypatch.setattr(uploads, "now", lambda: arrivals.now() + timedelta(hours=25))
    assert begin(client, "m3").status_code == 201
    assert len(parts(client)) == 1


def test_a_disk_that_is_full_is_503_and_the_rest_can_be_sent_later(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = at(begin(client, content=b"half"))

    def full(_self: Any, _chunk: bytes) -> None:
        raise uploads.DiskError("the disk here does not take it: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(uploads.Appending, "write", full)
        assert append(client, url, 4, b" and half").status_code == 503
    assert append(client, url, 4, b" and half").json()["size"] == 13


def test_where_the_operator_has_a_folder_there_is_no_upload(house: Any) -> None:
    text = house.platforms().replace("allow_local", 'artifacts = "beside"\nallow_local')
    (house.place / "data" / "platforms.toml").write_text(text, encoding="utf-8")
    app = create_app(house.settings)
    assert begin(TestClient(app), content=b"x", headers={}).status_code == 409
    app.state.context.close()


@pytest.mark.sandbox
def test_an_uploaded_artifact_is_in_the_manifest_of_its_commit_and_run_with(house: Any, running: TestClient) -> None:
    declared = f'{MANIFEST}[artifacts]\nmodel = "m.txt"\n'
    lifted = serve(body="return [rank(request, k) for request in requests]").replace(
        "def load(artifacts):", "def load(artifacts):\n    assert (artifacts / 'm.txt').read_text() == 'weights'"
    )
    base = house.commit({"countersign.toml": declared, "rank.py": lifted}, "Declare")
    head = house.branch("topic", {"README": "words\n"})
    for commit in (base, head):
        sent = begin(running, "m.txt", b"weights", {}, commit=commit)
        assert sent.status_code == 201
    submission = {"repository": NAME, "base": base, "head": head}
    assert running.post("/api/v1/changes", json=submission, headers=CI).status_code == 202
    view = finished(running)
    assert view.state is State.READY, view.error
    (artifact,) = view.manifest["artifacts"]  # type: ignore[index]
    assert artifact["sha256"] == hashlib.sha256(b"weights").hexdigest()
