"""Access over HTTP: which requests are admitted, and how the others are refused."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp_http import HEADERS, INITIALIZE, LIST_TOOLS

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[Any]]
TOKEN = "a-token-of-thirty-two-characters"


async def test_a_loopback_server_needs_no_token(open_http_server: Opening):
    async with open_http_server() as server:
        answer = await server.request()

    assert answer.status_code == 200
    assert len(answer.json()["result"]["tools"]) == 5
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/mcp", "/health", "/.well-known/oauth-protected-resource/mcp"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_foreign_host_and_origin_headers_are_refused_on_every_binding(
    open_http_server: Opening,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    path: str,
    header: dict[str, str],
    status: int,
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_http_server(host=host, allowed_hosts=["127.0.0.1"]) as server:
        answer = await server.request("GET" if path != "/mcp" else "POST", path, headers=header)

    assert answer.status_code == status


@pytest.mark.parametrize("origin", ["http://127.0.0.1:3000", "http://localhost:6274"])
async def test_a_loopback_origin_is_accepted(open_http_server: Opening, origin: str):
    async with open_http_server() as server:
        answer = await server.request(headers={"Origin": origin})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"allowed_hosts": ["BOX.LAN"]}, "box.lan:8765"),
        ({"allowed_hosts": ["box.lan"]}, "Box.Lan"),
        ({"allowed_hosts": ["::1"]}, "[::1]:8765"),
        ({"allowed_hosts": ["bücher.example"]}, "xn--bcher-kva.example"),
        ({"public_url": "https://Box.Example/mcp"}, "box.example"),
        ({"public_url": "https://box.example:443/mcp"}, "box.example"),
        ({"public_url": "https://box.example/mcp"}, "box.example:443"),
    ],
)
async def test_configured_host_names_match_in_every_equivalent_form(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], header: str
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_http_server(host="0.0.0.0", **options) as server:
        answer = await server.request(headers={"Host": header, "Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 200


async def test_a_trailing_slash_changes_nothing(open_http_server: Opening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    headers = {"Host": "box.example", "Authorization": f"Bearer {TOKEN}"}
    metadata = "/.well-known/oauth-protected-resource/mcp/"
    async with open_http_server(public_url="https://box.example/mcp/") as server:
        tools = await server.request(path="/mcp/", headers=headers)
        resource = await server.request("GET", metadata, headers=headers)

    assert (tools.status_code, len(tools.json()["result"]["tools"])) == (200, 5)
    assert resource.json()["resource"] == "https://box.example/mcp"


async def test_a_loopback_request_to_a_public_binding_gets_health_but_no_tools(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_http_server(host="0.0.0.0", allowed_hosts=["box.lan"]) as server:
        health = await server.request("GET", "/health")
        tools = await server.request(headers={"Authorization": f"Bearer {TOKEN}"})

    assert (health.status_code, tools.status_code) == (200, 421)


async def test_clients_are_referred_to_the_host_name_that_they_used(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    metadata = "/.well-known/oauth-protected-resource/mcp"
    async with open_http_server(host="0.0.0.0", allowed_hosts=["box.lan"]) as server:
        root = server.root.replace("127.0.0.1", "box.lan")
        refused = await server.request(headers={"Host": "box.lan"})
        resource = await server.request("GET", metadata, headers={"Host": "box.lan"})

    assert f'resource_metadata="{root}{metadata}"' in refused.headers["www-authenticate"]
    assert resource.json()["resource"] == f"{root}/mcp"


async def test_health_needs_no_token_and_discloses_only_its_status(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_http_server() as server:
        answer = await server.request("GET", "/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_request_without_the_token_gets_status_401_and_the_resource_metadata(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_http_server() as server:
        missing = await server.request()
        wrong = await server.request(headers={"Authorization": "Bearer " + TOKEN[:-1]})
        in_the_query = await server.request(path=f"/mcp?access_token={TOKEN}")
        right = await server.request(headers={"Authorization": f"Bearer {TOKEN}"})
        metadata = await server.request("GET", "/.well-known/oauth-protected-resource/mcp")

    assert [answer.status_code for answer in (missing, wrong, in_the_query, right)] == [401, 401, 401, 200]
    challenge = f'resource_metadata="{server.root}/.well-known/oauth-protected-resource/mcp"'
    assert challenge in missing.headers["www-authenticate"]
    assert metadata.json() == {
        "resource": server.url,
        "resource_name": "Chargehand",
        "bearer_methods_supported": ["header"],
    }


async def test_only_the_fixed_token_or_a_valid_one_of_the_issuer_for_this_server_and_scope_is_accepted(
    open_http_server: Opening,
    open_issuer: Opening,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url, scopes=("delegate",)) as server:
        good = issuer.token(server.url, scope="delegate other")
        tokens = {
            "good": good,
            "fixed": TOKEN,
            "with scopes in a list": issuer.token(server.url, scp=["other", "delegate"]),
            "without an end": issuer.token(server.url, scope="delegate", exp=None),
            "expired": issuer.token(server.url, scope="delegate", exp=int(time.time()) - 60),
            "of another server": issuer.token("https://other.example/mcp", scope="delegate"),
            "of another issuer": issuer.token(server.url, scope="delegate", iss="https://other.example"),
            "of nobody": issuer.token(server.url, scope="delegate", sub=None),
            "of a forger": good[:-8] + ("A" * 8),
            "no token": "x.y.z",
        }
        answers = {name: await server.request(headers={"Authorization": f"Bearer {t}"}) for name, t in tokens.items()}
        without_scope = await server.request(headers={"Authorization": f"Bearer {issuer.token(server.url)}"})
        metadata = await server.request("GET", "/.well-known/oauth-protected-resource/mcp")

    assert {name: answer.status_code for name, answer in answers.items()} == {
        **dict.fromkeys(tokens, 401),
        **dict.fromkeys(["good", "fixed", "with scopes in a list"], 200),
    }
    assert without_scope.status_code == 403
    assert 'error="insufficient_scope"' in without_scope.headers["www-authenticate"]
    assert "resource_metadata=" in without_scope.headers["www-authenticate"]
    assert (metadata.json()["authorization_servers"], metadata.json()["scopes_supported"]) == (
        [issuer.url],
        ["delegate"],
    )
    assert issuer.requested_paths == ["/.well-known/oauth-authorization-server", "/keys"], "the keys are fetched once"
    assert not any(token in caplog.text for token in tokens.values())


async def test_token_times_tolerate_a_clock_skew_of_25_seconds(open_http_server: Opening, open_issuer: Opening):
    now = int(time.time())
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url) as server:
        answers = {
            name: await server.request(headers={"Authorization": f"Bearer {issuer.token(server.url, **claims)}"})
            for name, claims in {
                "begins soon": {"iat": now + 25, "nbf": now + 25},
                "has just ended": {"exp": now - 2},
                "begins later": {"nbf": now + 90},
            }.items()
        }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "begins soon": 200,
        "has just ended": 200,
        "begins later": 401,
    }


async def test_a_key_verifies_every_algorithm_of_its_type_unless_the_issuer_names_one(
    open_http_server: Opening, open_issuer: Opening
):
    free, bound = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) for key in (free, bound)]
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url) as server:
        issuer.published = [
            {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "shared"},
            {"kty": "unheard of", "kid": "odd"},
            {"kty": "EC", "crv": "P-256", "kid": "broken"},
            {**public[0], "kid": "for secrets", "use": "enc"},
            {**public[0], "kid": "free"},
            {**public[1], "kid": "bound", "alg": "PS256"},
        ]
        claims = issuer.claims(server.url)
        tokens = {
            (kid, algorithm): issuer.signed(claims, key, algorithm, kid)
            for kid, key, algorithm in [
                ("free", free, "RS256"),
                ("free", free, "RS512"),
                ("free", free, "PS256"),
                ("bound", bound, "PS256"),
                ("bound", bound, "RS256"),
                ("for secrets", free, "RS256"),
                ("shared", "secret" * 8, "HS256"),
            ]
        }
        answers = {case: await server.request(headers={"Authorization": f"Bearer {t}"}) for case, t in tokens.items()}

    accepted = [case for case, answer in answers.items() if answer.status_code == 200]
    assert accepted == [("free", "RS256"), ("free", "RS512"), ("free", "PS256"), ("bound", "PS256")]


async def test_a_token_without_a_key_id_is_accepted_only_if_exactly_one_key_fits(
    open_http_server: Opening, open_issuer: Opening
):
    other = rsa.generate_private_key(65537, 2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url) as server:
        own = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(issuer.key.public_key()))
        issuer.published = [{**own, "kid": "one"}, {**public, "kid": "two"}, {**public, "kid": "three"}]
        claims = issuer.claims(server.url)
        one_fits = await server.request(headers={"Authorization": f"Bearer {issuer.signed(claims, kid=None)}"})
        two_fit = issuer.signed(claims, other, "RS256", kid=None)
        several_fit = await server.request(headers={"Authorization": f"Bearer {two_fit}"})

    assert (one_fits.status_code, several_fit.status_code) == (200, 401)


@pytest.mark.parametrize("scope", [None, 5, {"delegate": 1}, [["delegate"]], "", []])
async def test_a_malformed_scope_claim_grants_no_access(open_http_server: Opening, open_issuer: Opening, scope: Any):
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url, scopes=("delegate",)) as server:
        token = issuer.signed({**issuer.claims(server.url), "scope": scope})
        answer = await server.request(headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 403


async def test_an_unavailable_issuer_yields_status_503_with_retry_after_and_no_challenge(
    open_http_server: Opening, open_issuer: Opening
):
    async with open_issuer() as issuer:
        pass
    async with open_http_server(issuer=issuer.url) as server:
        answer = await server.request(headers={"Authorization": f"Bearer {issuer.token(server.url)}"})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "www-authenticate" not in answer.headers


async def test_only_a_body_above_8_mib_is_too_large(open_http_server: Opening):
    async with open_http_server() as server:
        answers = [await server.request(content=b" " * size) for size in (8 * 1024 * 1024, 8 * 1024 * 1024 + 1)]

    assert [answer.status_code for answer in answers] == [400, 413]


async def test_whitespace_around_header_values_is_ignored(open_http_server: Opening):
    async with open_http_server() as server:
        host, port = server.root.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            body = json.dumps(LIST_TOOLS)
            lines = [f"{name}: {value} \t" for name, value in {**HEADERS, "Mcp-Method": "  tools/list"}.items()]
            head = [f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}", *lines, f"Content-Length: {len(body)}"]
            await stream.send("\r\n".join([*head, "", body]).encode())
            answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_result_of_the_2026_era_is_marked_complete_and_names_the_server(open_http_server: Opening):
    async with open_http_server() as server:
        answer = await server.request()

    result = answer.json()["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "chargehand"


async def test_a_broken_event_stream_can_be_reopened(open_http_server: Opening):
    accepting = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    async with open_http_server() as server, httpx2.AsyncClient(timeout=60) as http:
        opened = await http.post(server.url, headers=accepting, json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        headers = {**accepting, **session, "Last-Event-ID": "the-last-one"}
        async with http.stream("GET", server.url, headers=headers) as stream:
            status, kind = stream.status_code, stream.headers["content-type"]

    assert (status, kind) == (200, "text/event-stream")
