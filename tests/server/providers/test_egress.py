"""The gate that checks every outgoing request."""

import json
import logging
from dataclasses import dataclass, field, replace

import pytest
from planted import AWS_KEY

from chargehand.server.providers.anthropic import anthropic_at
from chargehand.server.providers.egress import Gate, client_options, on_behalf_of
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.guarding.secrets import SecretSearch
from chargehand.tools.provider import NotLocal

pytestmark = pytest.mark.anyio


@dataclass
class Address:
    host: str


@dataclass
class Outgoing:
    url: Address
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def aread(self) -> bytes:
        return self.body


async def test_the_gate_blocks_a_local_only_request_to_another_machine(make_request, observer):
    gate = Gate(frozenset({"studio.lan"}))
    request = replace(make_request("qwen3-30b-a3b"), local_only=True)

    with on_behalf_of(request, observer):
        await gate.check_outgoing(Outgoing(Address("studio.lan"), {"content-length": "12"}))
        with pytest.raises(NotLocal, match=r"elsewhere\.example"):
            await gate.check_outgoing(Outgoing(Address("elsewhere.example"), {"content-length": "12"}))

    assert observer.requests == [("studio.lan", 12)]


async def test_requests_outside_a_generation_are_not_counted(observer, make_request):
    gate = Gate(frozenset())

    with on_behalf_of(make_request("qwen3-30b-a3b"), observer):
        pass
    await gate.check_outgoing(Outgoing(Address("elsewhere.example")))

    assert observer.requests == []


async def test_sdk_loggers_stay_above_debug_so_that_no_prompt_is_logged(caplog: pytest.LogCaptureFixture):
    for name in (None, "anthropic", "cerebras", "openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name)

    client_options(anthropic_at(VendorSettings()), Gate(frozenset()))

    for name in ("anthropic._base_client", "cerebras.cloud.sdk", "openai._base_client", "httpx", "httpx2", "httpcore"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)


async def test_the_gate_blocks_every_request_with_a_secret_to_another_machine(observer, make_request):
    gate = Gate(frozenset({"studio.lan"}), secrets=SecretSearch())
    body = json.dumps({"messages": [{"content": [{"text": f"a\nkey: {AWS_KEY}\n"}]}]}).encode()

    with pytest.raises(NotLocal, match=r"elsewhere\.example was about to be sent holds .*\(aws-access-key\)"):
        await gate.check_outgoing(Outgoing(Address("elsewhere.example"), body=body))
    with pytest.raises(NotLocal, match="aws-access-key"):
        await gate.check_outgoing(Outgoing(Address("elsewhere.example"), body=f"no json {AWS_KEY}".encode()))
    await gate.check_outgoing(Outgoing(Address("elsewhere.example"), body=b'{"text": "nothing"}'))
    await gate.check_outgoing(Outgoing(Address("studio.lan"), body=body))


async def test_the_gate_blocks_a_secret_for_a_remote_model_behind_a_local_gateway(observer, make_request):
    gate = Gate(frozenset(), secrets=SecretSearch())
    outgoing = Outgoing(Address("127.0.0.1"), body=json.dumps({"text": AWS_KEY}).encode())

    with on_behalf_of(make_request("qwen3-30b-a3b"), observer):
        await gate.check_outgoing(outgoing)
    with on_behalf_of(make_request("claude-haiku-5-5"), observer), pytest.raises(NotLocal, match="aws-access-key"):
        await gate.check_outgoing(outgoing)


async def test_a_gateway_that_the_user_lists_as_local_may_receive_a_secret(observer, make_request):
    gate = Gate(frozenset({"127.0.0.1"}), secrets=SecretSearch())
    outgoing = Outgoing(Address("127.0.0.1"), {"content-length": "12"}, json.dumps({"text": AWS_KEY}).encode())

    with on_behalf_of(make_request("claude-haiku-5-5"), observer):
        await gate.check_outgoing(outgoing)

    assert observer.requests == [("127.0.0.1", 12)]


async def test_the_local_only_setting_also_blocks_requests_outside_a_generation():
    gate = Gate(frozenset(), local_only=True)

    await gate.check_outgoing(Outgoing(Address("localhost")))
    with pytest.raises(NotLocal, match=r"elsewhere\.example"):
        await gate.check_outgoing(Outgoing(Address("elsewhere.example")))
