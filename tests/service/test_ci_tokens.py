# SPDX-License-Identifier: Apache-2.0
"""Tokens of a CI's issuer instead of a secret: an issuer on loopback, and what of it is not believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME, TOKEN
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from evidence import AuthenticationError, InputError, SandboxMissingError
from service import ci_tokens
from service.app import create_app
from service.ci_tokens import Issuers, identify, read_keys
from service.outward import is_public
from service.settings import read_platforms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

AUDIENCE = "http://127.0.0.1:8000"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
CURVE = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})


class Issuer(ThreadingHTTPServer):
    """Publishes its configuration and keys, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.keys: list[dict[str, Any]] = [KEY.as_dict(private=False)]
        self.asked: list[str] = []
        self.broken: int | None = None
        self.elsewhere: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        where = self.server.elsewhere or f"{self.server.url}/jwks"
        document: Any = {"issuer": self.server.url, "jwks_uri": where}
        if self.path == "/jwks":
            document = {"keys": self.server.keys}
        body = json.dumps(document).encode()
        self.send_response(self.server.broken or 200)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def configure(house: Any, issuer: Issuer, more: str = "") -> None:
    second = (
        '[[platforms]]\nname = "other"\nhost = "code.example"\nallow_local = true\npanel = "panel"\n'
        f'repositories = [{{name = "other/ranker", url = "file://{house.repository}"}}]\n'
        f'[[platforms.ci]]\nissuer = "{issuer.url}"\nkind = "gitlab"\n'
    )
    text = f'{house.platforms()}[[platforms.repositories]]\nname = "tiny/second"\nurl = "file://{house.repository}"\n'
    text += f'[[platforms.ci]]\nissuer = "{issuer.url}"\n{more}{second}'
    (house.place / "data" / "platforms.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def client(house: Any, issuer: Issuer) -> Iterator[TestClient]:
    configure(house, issuer)
    app = create_app(house.settings)
    yield TestClient(app, base_url=AUDIENCE)
    app.state.context.close()


def claims(issuer: Issuer, **more: Any) -> dict[str, Any]:
    moment = int(time.time())
    return {"iss": issuer.url, "aud": AUDIENCE, "exp": moment + 300, "iat": moment, "nbf": moment,
            "sub": f"repo:{NAME}:ref:refs/heads/main", "repository": NAME} | more  # fmt: skip


def token(issuer: Issuer, key: Any = KEY, algorithm: str = "RS256", kid: str = "one", **more: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": kid}, claims(issuer, **more), key, algorithms=[algorithm])


def submit(client: TestClient, bearer: str, repository: str = NAME) -> Any:
    document = {"repository": repository, "base": "a" * 40, "head": "b" * 40}
    return client.post("/api/v1/changes", json=document, headers={"Authorization": f"Bearer {bearer}"})


def test_a_job_of_the_repository_may_submit_and_the_keys_are_asked_for_once(client: TestClient, issuer: Issuer) -> None:
    assert submit(client, token(issuer)).status_code == 202
    assert submit(client, token(issuer, aud=["x", AUDIENCE])).status_code == 200
    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_it_may_do_nothing_for_another_repository_and_sees_none(client: TestClient, issuer: Issuer) -> None:
    secret = {"Authorization": f"Bearer {TOKEN}"}
    assert submit(client, TOKEN, "tiny/second").status_code == 202
    assert submit(client, token(issuer), "tiny/second").status_code == 422
    assert submit(client, token(issuer), "other/ranker").status_code == 422
    mine = {"Authorization": f"Bearer {token(issuer)}"}
    assert client.get("/api/v1/changes", headers=mine).json() == {"changes": []}
    assert client.get("/api/v1/changes/1", headers=mine).status_code == 404
    assert client.get("/api/v1/changes/1/revisions/1", headers=mine).status_code == 404
    assert client.get("/api/v1/changes/1", headers=secret).status_code == 200


def test_one_issuer_of_two_platforms_is_told_apart_by_the_repository(client: TestClient, issuer: Issuer) -> None:
    theirs = token(issuer, repository=None, project_path="other/ranker")
    assert submit(client, theirs, "other/ranker").status_code == 202
    assert client.app.state.reviews.change(1).repository == "other/ranker"  # type: ignore[attr-defined]
    assert submit(client, theirs).status_code == 422
    assert submit(client, token(issuer, repository="other/ranker")).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://another.example"},
        {"aud": None},
        {"aud": {"x": AUDIENCE}},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": True},
        {"exp": "tomorrow"},
        {"nbf": int(time.time()) + 9000},
        {"iat": int(time.time()) + 9000},
        {"iss": "https://issuer.example"},
        {"iss": None},
        {"iss": ["x"]},
        {"repository": "someone/else"},
        {"repository": [NAME]},
        {"repository": None},
    ],
)
def test_a_token_that_is_not_for_us_now_is_401(client: TestClient, issuer: Issuer, wrong: dict[str, Any]) -> None:
    answer = submit(client, token(issuer, **wrong))
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "\n" not in answer.json()["detail"]


def forged(issuer: Issuer, header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(part).encode() for part in (header, claims(issuer))]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def by_secret(issuer: Issuer, secret: bytes, kid: str) -> str:
    """Signed with the public key as a shared secret; joserfc itself would not do that."""
    text = forged(issuer, {"alg": "HS256", "kid": kid}).removesuffix(".")
    made = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def test_no_algorithm_is_taken_for_another(client: TestClient, issuer: Issuer) -> None:
    public = KEY.as_pem(private=False)
    issuer.keys = [*issuer.keys, {"kty": "oct", "kid": "three", "k": base64.urlsafe_b64encode(public).decode()}]
    for bearer in (
        forged(issuer, {"alg": "none"}),
        forged(issuer, {"alg": "None", "kid": "one"}),
        forged(issuer, {"alg": "RS256", "kid": "one"}),
        forged(issuer, {"alg": "RS256", "kid": "one", "jwk": OTHER.as_dict(private=False)}, b"x" * 256),
        forged(issuer, {"kid": "one"}),
        forged(issuer, {"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1}, b"x" * 256),
        token(issuer, OTHER),
        by_secret(issuer, public, "one"),
        by_secret(issuer, public, "three"),
        token(issuer, CURVE, "ES256", kid="two"),
        f"{token(issuer)}x",
        "eyJ.eyJ.",
        "eyJ\xe9.a.b".encode("latin-1").decode("latin-1"),
        "eyJhIjpbW1tb.e30.x",
        f"eyJ{'A' * 20_000}.e30.x",
    ):
        answer = client.post(
            "/api/v1/changes", content=b"{}", headers={"Authorization": f"Bearer {bearer}".encode("latin-1")}
        )
        assert answer.status_code == 401, bearer[:60]


def test_a_new_key_is_found_and_unknown_ones_do_not_make_us_ask_on_and_on(
    client: TestClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert submit(client, token(issuer)).status_code == 202
    issuer.keys = [CURVE.as_dict(private=False)]
    new = token(issuer, CURVE, "ES256", kid="two")
    for _ in range(5):
        assert submit(client, new).status_code == 401
    assert len(issuer.asked) == 2
    monkeypatch.setattr(ci_tokens, "_AGAIN", -1.0)
    assert submit(client, new).status_code == 200
    assert len(issuer.asked) == 4
    issuer.broken = 500
    assert submit(client, new).status_code == 200


@pytest.mark.parametrize("broken", [500, 302, 404])
def test_an_issuer_that_does_not_answer_is_503_and_nothing_is_taken(
    client: TestClient, issuer: Issuer, broken: int
) -> None:
    issuer.broken = broken
    answer = submit(client, token(issuer))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_keys_are_not_taken_from_another_server(client: TestClient, issuer: Issuer) -> None:
    issuer.elsewhere = "http://localhost:1/jwks"
    assert submit(client, token(issuer)).status_code == 503


def test_keys_of_a_file_need_no_issuer_and_claims_can_be_asked_for(house: Any, issuer: Issuer) -> None:
    (house.place / "data" / "keys.json").write_text(json.dumps({"keys": issuer.keys}), encoding="utf-8")
    configure(house, issuer, 'jwks = "keys.json"\naudience = "mine"\nclaims = {environment = "production"}\n')
    platforms = read_platforms(house.place / "data" / "platforms.toml")
    good = token(issuer, aud="mine", environment="production")
    assert identify(platforms, good, Issuers(), AUDIENCE)[1] == NAME
    for wrong in (token(issuer, aud="mine"), token(issuer, environment="production")):
        with pytest.raises(AuthenticationError):
            identify(platforms[:1], wrong, Issuers(), AUDIENCE)
    assert issuer.asked == []


def test_an_issuer_at_a_private_address_is_not_asked_unless_the_operator_says_so(house: Any, issuer: Issuer) -> None:
    configure(house, issuer)
    platforms = read_platforms(house.place / "data" / "platforms.toml")
    public = [platform.model_copy(update={"allow_local": False}) for platform in platforms]
    with pytest.raises(SandboxMissingError):
        identify(public, token(issuer), Issuers(), AUDIENCE)
    assert issuer.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "eA"}]}',
        '{"keys": [{"kty": "RSA"}]}',
        '{"keys": [7]}',
    ],
)
def test_a_file_without_a_public_key_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"keys\.json"):
        read_keys(tmp_path / "keys.json")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("192.168.0.1", False), ("224.0.0.1", False), ("::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False), ("fd00::1", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert is_public(address) is public
