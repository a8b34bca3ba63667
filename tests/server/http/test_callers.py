"""Each caller has its own tasks and limits, and never gets a vendor's key."""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.types import ResourceTemplateReference
from mcp_http import INITIALIZE
from rename_task import RENAME, RIGHT
from running_server import Script, text_of
from starlette.types import Receive, Scope, Send

from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.serving import serving
from chargehand.evaluation.peers.vendors import KEY, vendors

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[Any]]
BOUND_S = 60
"""Upper bound of each wait; no test measures the time."""
TASKS = ResourceTemplateReference(type="ref/resource", uri="chargehand://tasks/{task_id}")


async def delegate(client: Client) -> dict[str, Any]:
    result = await client.call_tool("delegate_generation", {"task": RENAME})
    assert not result.is_error, text_of(result)
    return result.structured_content or {}


async def test_a_task_is_visible_only_to_the_caller_who_started_it(
    open_http_server: Opening, open_issuer: Opening, monkeypatch: pytest.MonkeyPatch, era: str
):
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", "a-token-of-thirty-two-characters")
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers, open_issuer() as issuer:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        async with (
            open_http_server(issuer=issuer.url) as server,
            server.client(issuer.token(server.url), era) as alice,
            server.client(issuer.token(server.url, sub="bob"), era) as bob,
            server.client("a-token-of-thirty-two-characters", era) as carol,
        ):
            receipt = await delegate(alice)
            task_id = receipt["task_id"]
            calls = [
                ("delegate_generation", {"resume": task_id}),
                ("validate_code", {"task_id": task_id, "depth": "static"}),
                ("report_outcome", {"task_id": task_id, "outcome": "accepted"}),
            ]
            denied = [await other.call_tool(tool, arguments) for other in (bob, carol) for tool, arguments in calls]
            with pytest.raises(MCPError) as read_error:
                await bob.read_resource(f"chargehand://tasks/{task_id}")
            offered = [
                (await c.complete(TASKS, {"name": "task_id", "value": ""})).completion.values
                for c in (alice, bob, carol)
            ]
            allowed = [await alice.call_tool(tool, arguments) for tool, arguments in calls]
            (read,) = (await alice.read_resource(f"chargehand://tasks/{task_id}")).contents

    unknown = f"no task {task_id!r} is known"
    assert all(result.is_error and unknown in text_of(result) for result in denied)
    assert unknown in read_error.value.error.message
    assert offered == [[task_id], [], []]
    assert [bool(result.is_error) for result in allowed] == [False] * 3
    assert json.loads(getattr(read, "text", ""))["receipt"] == receipt


async def test_a_caller_can_find_and_cancel_a_task_from_another_connection(
    open_http_server: Opening, open_issuer: Opening, monkeypatch: pytest.MonkeyPatch, era: str
):
    messages: list[str] = []
    has_started = anyio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")
        has_started.set()

    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    async with vendors(script) as peers, open_issuer() as issuer:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        async with (
            open_http_server(issuer=issuer.url) as server,
            server.client(issuer.token(server.url)) as other_connection,
        ):
            async with server.client(issuer.token(server.url), era) as alice, anyio.create_task_group() as group:
                call = partial(alice.call_tool, progress_callback=on_progress)
                group.start_soon(call, "delegate_generation", {"task": RENAME})
                with anyio.fail_after(BOUND_S):
                    await has_started.wait()
                (task_id,) = re.findall("task ([0-9a-f]{32}): ", messages[0])
                offered = (await other_connection.complete(TASKS, {"name": "task_id", "value": ""})).completion.values
                group.cancel_scope.cancel()
            ended = await other_connection.call_tool("delegate_generation", {"resume": task_id, "cancel": True})

    assert offered == [task_id]
    assert (ended.structured_content or {})["status"] == "cancelled", text_of(ended)


async def test_a_rate_limited_caller_is_told_when_to_retry_and_others_are_served(
    open_http_server: Opening, open_issuer: Opening, tmp_path: Path
):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[http.calls_per_minute]\nroute_task = 2\n")
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url) as server:
        async with server.client(issuer.token(server.url)) as alice:
            answers = [await alice.call_tool("route_task", {"task": RENAME}) for _ in range(3)]
            other_tool = await alice.call_tool("validate_code", {"code": "x = 1", "depth": "static"})
        async with server.client(issuer.token(server.url, sub="bob")) as bob:
            other_caller = await bob.call_tool("route_task", {"task": RENAME})

    assert [bool(answer.is_error) for answer in answers] == [False, False, True]
    assert "route_task: more than 2 calls per minute. Call again in " in text_of(answers[2])
    assert not other_tool.is_error
    assert not other_caller.is_error


async def test_unused_calls_accumulate_up_to_one_minutes_limit(
    open_http_server: Opening, open_issuer: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now_s = 1_000.0
    monkeypatch.setattr("chargehand.server.http.limits.time", SimpleNamespace(monotonic=lambda: now_s))
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[http.calls_per_minute]\nroute_task = 2\n")
    async with (
        open_issuer() as issuer,
        open_http_server(issuer=issuer.url) as server,
        server.client(issuer.token(server.url)) as alice,
    ):
        await alice.call_tool("route_task", {"task": RENAME})
        now_s += 3_600
        answers = [await alice.call_tool("route_task", {"task": RENAME}) for _ in range(3)]
        now_s += 15
        answers.append(await alice.call_tool("route_task", {"task": RENAME}))

    assert [bool(answer.is_error) for answer in answers] == [False, False, True, True]
    assert text_of(answers[2]).endswith("Call again in 30 s.")
    assert text_of(answers[3]).endswith("Call again in 15 s.")


async def test_resuming_a_delegation_is_rate_limited_and_cancelling_one_is_not(
    open_http_server: Opening, tmp_path: Path
):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[http.calls_per_minute]\ndelegate_generation = 2\n")
    resume, cancel = {"resume": "gone"}, {"resume": "gone", "cancel": True}
    async with open_http_server() as server, server.client(None) as client:
        answers = [await client.call_tool("delegate_generation", call) for call in (resume, resume, resume, cancel)]

    refused = ["calls per minute" in text_of(answer) for answer in answers]
    assert refused == [False, False, True, False]


@pytest.fixture
async def one_delegation_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncGenerator[None]:
    """Limits each caller to one delegation at once; the local model never finishes its answer."""
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[http.calls_at_once]\ndelegate_generation = 1\n")
    async with vendors(Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})) as peers:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        yield


async def test_running_delegations_count_against_the_limit_and_can_always_be_cancelled(
    open_http_server: Opening, one_delegation_at_once: None
):
    async with open_http_server() as server, server.client(None) as client:
        call = partial(client.call_tool, "delegate_generation")
        started = (await call({"task": RENAME, "wait_s": 0})).structured_content or {}
        waiting = await call({"resume": started["task_id"], "wait_s": 0})
        refused = await call({"task": RENAME, "wait_s": 0})
        ended = await call({"resume": started["task_id"], "cancel": True})
        next_delegation = await call({"task": RENAME, "wait_s": 0})

        async with anyio.create_task_group() as group:
            next_id = (next_delegation.structured_content or {})["task_id"]
            group.start_soon(call, {"resume": next_id})
            ended_beside_a_waiting_call = await call({"resume": next_id, "cancel": True})

    assert (waiting.structured_content or {})["status"] == "running"
    assert text_of(refused) == (
        "delegate_generation: you have 1 under way, the most allowed at once."
        " Call again when one has ended, or end one with `resume` and `cancel`."
    )
    assert (ended.structured_content or {})["status"] == "cancelled"
    assert (ended_beside_a_waiting_call.structured_content or {})["status"] == "cancelled"


async def test_a_running_delegation_still_counts_when_the_table_of_limits_overflows(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch, one_delegation_at_once: None
):
    monkeypatch.setattr("chargehand.server.http.limits.MAX_CALLERS", 1)
    async with open_http_server() as server, server.client(None) as client:
        started = await client.call_tool("delegate_generation", {"task": RENAME, "wait_s": 0})
        await client.call_tool("route_task", {"task": RENAME})
        refused = await client.call_tool("delegate_generation", {"task": RENAME, "wait_s": 0})
        await client.call_tool(
            "delegate_generation", {"resume": (started.structured_content or {})["task_id"], "cancel": True}
        )

    assert "you have 1 under way" in text_of(refused)


async def test_too_many_sessions_evict_the_callers_own_one_that_was_idle_longest(
    open_http_server: Opening, open_issuer: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("chargehand.server.http.sessions.MAX_SESSIONS_PER_CALLER", 2)
    version = {"MCP-Protocol-Version": "2025-11-25"}
    async with open_issuer() as issuer, open_http_server(issuer=issuer.url) as server:

        def headers_of(caller: str) -> dict[str, str]:
            return {**version, "Authorization": f"Bearer {issuer.token(server.url, sub=caller)}"}

        async def open_session(caller: str) -> dict[str, str]:
            answer = await server.request(headers=headers_of(caller), content=json.dumps(INITIALIZE))
            return {**headers_of(caller), "Mcp-Session-Id": answer.headers["mcp-session-id"]}

        async def ping(session: dict[str, str]) -> int:
            content = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"})
            return (await server.request(headers=session, content=content)).status_code

        bobs = await open_session("bob")
        first, second = await open_session("alice"), await open_session("alice")
        stream = {**first, "Accept": "text/event-stream"}
        async with httpx2.AsyncClient(timeout=BOUND_S) as http, http.stream("GET", server.url, headers=stream):
            third = await open_session("alice")
        await ping(first)
        fourth = await open_session("alice")
        statuses = [await ping(session) for session in (first, second, third, fourth, bobs)]

    assert statuses == [200, 404, 404, 200, 200]


async def test_a_session_beyond_the_limit_gets_status_503_with_retry_after(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("chargehand.server.http.application.MAX_SESSIONS", 1)
    async with open_http_server() as server:
        answers = [
            await server.request(headers={"MCP-Protocol-Version": "2025-11-25"}, content=json.dumps(INITIALIZE))
            for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].headers["retry-after"] == "60"


async def test_calls_of_unknown_tools_do_not_reset_a_rate_limit(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[http.calls_per_minute]\nroute_task = 1\n")
    monkeypatch.setattr("chargehand.server.http.limits.MAX_CALLERS", 2)
    async with open_http_server() as server, server.client(None) as client:
        first = await client.call_tool("route_task", {"task": RENAME})
        for number in range(5):
            with contextlib.suppress(MCPError):
                await client.call_tool(f"made_up_{number}", {})
        second = await client.call_tool("route_task", {"task": RENAME})

    assert not first.is_error
    assert "more than 1 calls per minute" in text_of(second)


async def test_the_callers_token_is_not_sent_to_vendors_and_no_vendor_key_is_returned(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    token = "canary-of-the-caller-0123456789"
    monkeypatch.setenv("CHARGEHAND_HTTP_TOKEN", token)
    sent: list[bytes] = []

    async with vendors(Script({"claude-haiku-5-5": [RIGHT]})) as peers:

        async def record_headers(scope: Scope, receive: Receive, send: Send) -> None:
            sent.extend(part for header in scope["headers"] for part in header)
            await peers.anthropic.app(scope, receive, send)

        async with serving(record_headers) as claude:
            for name, value in (peers.environment | {"ANTHROPIC_BASE_URL": claude}).items():
                monkeypatch.setenv(name, value)
            async with open_http_server() as server, server.client(token) as client:
                result = await client.call_tool("delegate_generation", {"task": RENAME, "model": "claude-haiku-5-5"})
                read = [await client.read_resource(f"chargehand://{name}") for name in ("profiles", "usage", "memory")]
                returned = [part.model_dump_json() for part in (result, *read)]

    assert not result.is_error
    assert KEY.encode() in b" ".join(sent)
    assert token.encode() not in b" ".join(sent)
    assert KEY not in " ".join(returned)
