"""The gate that every request passes on its way out."""

import logging
from dataclasses import dataclass, field, replace

import pytest

from chargehand.server.providers.egress import Gate, keep_bodies_out_of_logs, on_behalf_of
from chargehand.tools.provider import NotLocal

pytestmark = pytest.mark.anyio


@dataclass
class Address:
    host: str


@dataclass
class Outgoing:
    url: Address
    headers: dict[str, str] = field(default_factory=dict)


async def test_a_local_only_request_is_stopped_at_the_gate_whatever_client_makes_it(ask, observer):
    gate = Gate(frozenset({"studio.lan"}))
    request = replace(ask("qwen3-30b-a3b"), local_only=True)

    with on_behalf_of(request, observer):
        await gate.let_out(Outgoing(Address("studio.lan"), {"content-length": "12"}))
        with pytest.raises(NotLocal, match=r"elsewhere\.example"):
            await gate.let_out(Outgoing(Address("elsewhere.example"), {"content-length": "12"}))

    assert observer.requests == [("studio.lan", 12)]


async def test_what_nobody_asked_for_is_not_counted(observer, ask):
    gate = Gate(frozenset())

    with on_behalf_of(ask("qwen3-30b-a3b"), observer):
        pass
    await gate.let_out(Outgoing(Address("elsewhere.example")))

    assert observer.requests == []


async def test_the_sdks_cannot_log_a_prompt_even_when_all_else_logs_at_debug():
    keep_bodies_out_of_logs()

    for name in ("anthropic", "anthropic._base_client", "cerebras.cloud.sdk", "httpx", "httpx2", "httpcore"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
