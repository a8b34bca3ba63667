"""Who gets in over HTTP, and what the others are told."""

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


async def test_this_machine_is_served_without_a_token(open_place: Opening):
    async with open_place() as place:
        answer = await place.ask()

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
async def test_a_page_under_another_name_gets_nothing_on_any_bind(
    open_place: Opening, monkeypatch: pytest.MonkeyPatch, host: str, path: str, header: dict[str, str], status: int
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_place(host=host, allowed_hosts=["127.0.0.1"]) as place:
        answer = await place.ask("GET" if path != "/mcp" else "POST", path, headers=header)

    assert answer.status_code == status


@pytest.mark.parametrize("origin", ["http://127.0.0.1:3000", "http://localhost:6274"])
async def test_a_page_of_this_machine_is_served(open_place: Opening, origin: str):
    async with open_place() as place:
        answer = await place.ask(headers={"Origin": origin})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("typed", "header"),
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
async def test_a_name_is_answered_in_whatever_form_it_was_typed(
    open_place: Opening, monkeypatch: pytest.MonkeyPatch, typed: dict[str, Any], header: str
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_place(host="0.0.0.0", **typed) as place:
        answer = await place.ask(headers={"Host": header, "Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 200


async def test_a_slash_at_the_end_changes_nothing(open_place: Opening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    headers = {"Host": "box.example", "Authorization": f"Bearer {TOKEN}"}
    metadata = "/.well-known/oauth-protected-resource/mcp/"
    async with open_place(public_url="https://box.example/mcp/") as place:
        tools = await place.ask(path="/mcp/", headers=headers)
        where = await place.ask("GET", metadata, headers=headers)

    assert (tools.status_code, len(tools.json()["result"]["tools"])) == (200, 5)
    assert where.json()["resource"] == "https://box.example/mcp"


async def test_on_every_bind_a_containers_own_check_gets_health_and_nothing_else(
    open_place: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_place(host="0.0.0.0", allowed_hosts=["box.lan"]) as place:
        health = await place.ask("GET", "/health")
        tools = await place.ask(headers={"Authorization": f"Bearer {TOKEN}"})

    assert (health.status_code, tools.status_code) == (200, 421)


async def test_clients_are_sent_to_the_name_that_they_use(open_place: Opening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    metadata = "/.well-known/oauth-protected-resource/mcp"
    async with open_place(host="0.0.0.0", allowed_hosts=["box.lan"]) as place:
        root = place.root.replace("127.0.0.1", "box.lan")
        refused = await place.ask(headers={"Host": "box.lan"})
        where = await place.ask("GET", metadata, headers={"Host": "box.lan"})

    assert f'resource_metadata="{root}{metadata}"' in refused.headers["www-authenticate"]
    assert where.json()["resource"] == f"{root}/mcp"


async def test_health_needs_no_token_and_tells_nothing(open_place: Opening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_place() as place:
        answer = await place.ask("GET", "/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_the_token_a_caller_learns_where_tokens_come_from(
    open_place: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", TOKEN)
    async with open_place() as place:
        bare = await place.ask()
        wrong = await place.ask(headers={"Authorization": "Bearer " + TOKEN[:-1]})
        in_the_address = await place.ask(path=f"/mcp?access_token={TOKEN}")
        right = await place.ask(headers={"Authorization": f"Bearer {TOKEN}"})
        metadata = await place.ask("GET", "/.well-known/oauth-protected-resource/mcp")

    assert [answer.status_code for answer in (bare, wrong, in_the_address, right)] == [401, 401, 401, 200]
    where = f'resource_metadata="{place.root}/.well-known/oauth-protected-resource/mcp"'
    assert where in bare.headers["www-authenticate"]
    assert metadata.json() == {
        "resource": place.url,
        "resource_name": "Chargehand",
        "bearer_methods_supported": ["header"],
    }


async def test_a_token_of_the_issuer_opens_once_it_is_made_out_for_this_server(
    open_place: Opening, open_issuer: Opening, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    async with open_issuer() as issuer, open_place(issuer=issuer.url, scopes=("delegate",)) as place:
        good = issuer.token(place.url, scope="delegate other")
        tokens = {
            "good": good,
            "expired": issuer.token(place.url, scope="delegate", exp=int(time.time()) - 60),
            "of another server": issuer.token("https://other.example/mcp", scope="delegate"),
            "of another issuer": issuer.token(place.url, scope="delegate", iss="https://other.example"),
            "of nobody": issuer.token(place.url, scope="delegate", sub=None),
            "of a forger": good[:-8] + ("A" * 8),
            "no token": "x.y.z",
        }
        answers = {name: await place.ask(headers={"Authorization": f"Bearer {t}"}) for name, t in tokens.items()}
        without_scope = await place.ask(headers={"Authorization": f"Bearer {issuer.token(place.url)}"})
        metadata = await place.ask("GET", "/.well-known/oauth-protected-resource/mcp")

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "good": 200,
        **dict.fromkeys([name for name in tokens if name != "good"], 401),
    }
    assert without_scope.status_code == 403
    assert 'error="insufficient_scope"' in without_scope.headers["www-authenticate"]
    assert "resource_metadata=" in without_scope.headers["www-authenticate"]
    assert metadata.json()["authorization_servers"] == [issuer.url]
    assert issuer.asked == ["/.well-known/oauth-authorization-server", "/keys"], "the keys are fetched once"
    assert not any(token in caplog.text for token in tokens.values())


async def test_a_clock_that_is_half_a_minute_off_refuses_no_token(open_place: Opening, open_issuer: Opening):
    now = int(time.time())
    async with open_issuer() as issuer, open_place(issuer=issuer.url) as place:
        answers = {
            name: await place.ask(headers={"Authorization": f"Bearer {issuer.token(place.url, **claims)}"})
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


async def test_a_key_opens_with_each_algorithm_of_its_type_unless_the_issuer_names_one(
    open_place: Opening, open_issuer: Opening
):
    free, bound = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) for key in (free, bound)]
    async with open_issuer() as issuer, open_place(issuer=issuer.url) as place:
        issuer.published = [
            {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "shared"},
            {"kty": "unheard of", "kid": "odd"},
            {**public[0], "kid": "free"},
            {**public[1], "kid": "bound", "alg": "PS256"},
        ]
        claims = issuer.claims(place.url)
        tokens = {
            (kid, algorithm): issuer.signed(claims, key, algorithm, kid)
            for kid, key, algorithm in [
                ("free", free, "RS256"),
                ("free", free, "RS512"),
                ("free", free, "PS256"),
                ("bound", bound, "PS256"),
                ("bound", bound, "RS256"),
                ("shared", "secret" * 8, "HS256"),
            ]
        }
        answers = {of: await place.ask(headers={"Authorization": f"Bearer {t}"}) for of, t in tokens.items()}

    opened = [of for of, answer in answers.items() if answer.status_code == 200]
    assert opened == [("free", "RS256"), ("free", "RS512"), ("free", "PS256"), ("bound", "PS256")]


async def test_a_token_that_names_no_key_is_of_the_only_one_that_fits(open_place: Opening, open_issuer: Opening):
    other = rsa.generate_private_key(65537, 2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    async with open_issuer() as issuer, open_place(issuer=issuer.url) as place:
        own = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(issuer.key.public_key()))
        issuer.published = [{**own, "kid": "one"}, {**public, "kid": "two"}, {**public, "kid": "three"}]
        claims = issuer.claims(place.url)
        one_fits = await place.ask(headers={"Authorization": f"Bearer {issuer.signed(claims, kid=None)}"})
        two_fit = issuer.signed(claims, other, "RS256", kid=None)
        several_fit = await place.ask(headers={"Authorization": f"Bearer {two_fit}"})

    assert (one_fits.status_code, several_fit.status_code) == (200, 401)


@pytest.mark.parametrize("scope", [None, 5, {"delegate": 1}, [["delegate"]], "", []])
async def test_a_scope_that_is_no_text_allows_nothing(open_place: Opening, open_issuer: Opening, scope: Any):
    async with open_issuer() as issuer, open_place(issuer=issuer.url, scopes=("delegate",)) as place:
        token = issuer.signed({**issuer.claims(place.url), "scope": scope})
        answer = await place.ask(headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 403


async def test_while_the_issuer_is_away_a_caller_is_told_to_come_again_and_not_to_log_in_anew(
    open_place: Opening, open_issuer: Opening
):
    async with open_issuer() as issuer:
        pass
    async with open_place(issuer=issuer.url) as place:
        answer = await place.ask(headers={"Authorization": f"Bearer {issuer.token(place.url)}"})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "www-authenticate" not in answer.headers


async def test_a_body_that_is_too_long_is_refused(open_place: Opening):
    async with open_place() as place:
        answer = await place.ask(content=b" " * (8 * 1024 * 1024 + 1))

    assert answer.status_code == 413


async def test_white_space_around_a_header_is_no_part_of_it(open_place: Opening):
    async with open_place() as place:
        host, port = place.root.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            body = json.dumps(LIST_TOOLS)
            lines = [f"{name}: {value} \t" for name, value in {**HEADERS, "Mcp-Method": "  tools/list"}.items()]
            head = [f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}", *lines, f"Content-Length: {len(body)}"]
            await stream.send("\r\n".join([*head, "", body]).encode())
            answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_every_result_of_the_2026_era_says_that_it_is_complete_and_who_gave_it(open_place: Opening):
    async with open_place() as place:
        answer = await place.ask()

    result = answer.json()["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "chargehand"


async def test_a_stream_that_broke_is_opened_again(open_place: Opening):
    accepting = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    async with open_place() as place, httpx2.AsyncClient(timeout=30) as http:
        opened = await http.post(place.url, headers=accepting, json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        headers = {**accepting, **session, "Last-Event-ID": "the-last-one"}
        async with http.stream("GET", place.url, headers=headers) as stream:
            status, kind = stream.status_code, stream.headers["content-type"]

    assert (status, kind) == (200, "text/event-stream")
