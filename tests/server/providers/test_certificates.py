"""A self-hosted server behind a certificate that no public authority has signed."""

import asyncio
import contextlib
import datetime
import ipaddress
import json
import re
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import Unreachable

pytestmark = pytest.mark.anyio

MODELS = json.dumps({"data": [{"id": "org/own-qwen"}]})
CHUNK = {"choices": [{"delta": {"content": "print('hello')"}, "finish_reason": "stop"}]}
STREAM = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n"


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own server")])
    now = datetime.datetime.now(datetime.UTC)
    alternative_name = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative_name, critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "own.pem"
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return file


async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.read(65_536)
    if not head.startswith((b"GET", b"POST")):
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        return
    while b"\r\n\r\n" not in head:
        head += await reader.read(65_536)
    fields, _, content = head.partition(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", fields, re.IGNORECASE):
        await reader.readexactly(int(length[1]) - len(content))
    kind, body = ("application/json", MODELS) if head.startswith(b"GET") else ("text/event-stream", STREAM)
    length = f"content-length: {len(body)}\r\nconnection: close"
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{length}\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def serve(certificate: Path | None) -> AsyncGenerator[str]:
    """The https address of a server, even if the server has no certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    async with await asyncio.start_server(respond, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def open_adapter() -> AsyncGenerator:
    provider = LOADERS["openai_compatible"](VendorSettings())
    try:
        yield provider
    finally:
        await provider.aclose()


async def test_the_certificate_in_ssl_cert_file_is_trusted_on_a_local_address(
    make_profile, make_request, address, observer, tmp_path, monkeypatch
):
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serve(certificate) as address.url, open_adapter() as provider:
        available = await provider.availability([make_profile()])
        generation = await provider.generate(make_request("own-qwen"), observer)

    assert available["own-qwen"].is_reachable
    assert generation.text == "print('hello')"


async def test_an_untrusted_certificate_is_reported_as_such(
    make_profile, make_request, address, observer, tmp_path, monkeypatch
):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with serve(self_signed(tmp_path)) as address.url, open_adapter() as provider:
        why_not = (await provider.availability([make_profile()]))["own-qwen"].why_not
        with pytest.raises(Unreachable) as refused:
            await provider.generate(make_request("own-qwen"), observer)

    assert why_not == str(refused.value)
    assert why_not.startswith(f"The certificate of {address.url}/v1 is not trusted (")
    assert "SSL_CERT_FILE" in why_not


async def test_https_to_a_server_without_a_certificate_names_the_setting_to_correct(make_profile, address):
    async with serve(None) as address.url, open_adapter() as provider:
        why_not = (await provider.availability([make_profile()]))["own-qwen"].why_not

    correct = "Correct `base_url` in the profile own-qwen: it begins with http:// if the server has no certificate."
    assert why_not == f"{address.url}/v1 does not answer over https. {correct}"
