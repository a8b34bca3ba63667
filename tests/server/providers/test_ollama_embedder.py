"""Embeddings from Ollama, tested against its strict peer."""

from contextlib import asynccontextmanager

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chargehand.evaluation.peers.ollama import OllamaModel, OllamaPeer
from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.server.providers.locality import InvalidAddress
from chargehand.server.providers.ollama_embedder import OllamaEmbedder
from chargehand.server.providers.vendor_settings import VendorSettings

pytestmark = pytest.mark.anyio

NOMIC = OllamaModel("nomic-embed-text:latest", capabilities=("embedding",), digest="sha256:" + "ab" * 32)


def embedder_at(host: str, *, model: str = "nomic-embed-text", clock=lambda: 0.0) -> OllamaEmbedder:
    return OllamaEmbedder(model, VendorSettings(ollama_host=host, clock=clock))


@asynccontextmanager
async def open_embedder(*models: OllamaModel, **fields):
    """The peer, and an embedder connected to it."""
    peer = OllamaPeer(lambda _: Reply(""), models or (NOMIC,))
    async with serving(peer.app) as url:
        embedder = embedder_at(url, **fields)
        try:
            yield peer, embedder
        finally:
            await embedder.aclose()


async def test_the_id_is_the_model_name_with_the_digest_of_its_weights():
    async with open_embedder() as (_, embedder):
        await embedder.prepare()

        assert embedder.id == "ollama:nomic-embed-text@abababababab"
        assert 0.05 <= embedder.similar_from <= 0.95


async def test_a_batch_is_one_request_and_yields_unit_vectors_in_order():
    async with open_embedder() as (peer, embedder):
        await embedder.prepare()
        before = len(peer.journal.exchanges)
        vectors = await embedder.embed(["one", "another"], local_only=True)
        requests = peer.journal.exchanges[before:]
        vector = await embedder.embed(["another"])

    assert [exchange.path for exchange in requests] == ["/api/embed"]
    assert requests[0].body["input"] == ["one", "another"]
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    assert (vectors[1] == vector[0]).all()


async def test_preparing_again_sends_no_request():
    async with open_embedder() as (peer, embedder):
        await embedder.prepare()
        requests = len(peer.journal.exchanges)
        await embedder.prepare()

        assert len(peer.journal.exchanges) == requests


async def test_a_tag_that_was_pulled_again_is_unavailable_until_a_restart():
    now = [0.0]
    async with open_embedder(clock=lambda: now[0]) as (peer, embedder):
        await embedder.prepare()
        now[0] += 60
        renewed = OllamaModel(NOMIC.name, capabilities=("embedding",), digest="cd" * 32)
        peer._models[NOMIC.name] = renewed

        with pytest.raises(EmbedderUnavailable, match=r"pulled anew.*Restart"):
            await embedder.embed(["text"])


async def test_the_error_for_a_model_that_is_not_installed_names_the_command():
    async with open_embedder(model="mxbai-embed-large") as (_, embedder):
        with pytest.raises(EmbedderUnavailable, match="ollama pull mxbai-embed-large"):
            await embedder.prepare()


async def test_the_error_for_an_unreachable_ollama_names_the_command():
    embedder = embedder_at("http://127.0.0.1:9")

    with pytest.raises(EmbedderUnavailable, match="ollama serve"):
        await embedder.prepare()

    await embedder.aclose()


async def test_preparation_is_retried_after_a_failure():
    async with open_embedder(model="late") as (peer, embedder):
        with pytest.raises(EmbedderUnavailable):
            await embedder.prepare()
        peer._models["late:latest"] = OllamaModel("late:latest", capabilities=("embedding",))

        await embedder.prepare()

        assert embedder.id.startswith("ollama:late@")


async def test_a_local_only_text_is_not_sent_to_a_remote_ollama():
    async with open_embedder() as (_, local):
        await local.prepare()
        remote = embedder_at("http://ollama.example:11434")
        remote._known = local._known

        with pytest.raises(EmbedderUnavailable, match=r"ollama\.example"):
            await remote.embed(["secret"], local_only=True)

        await remote.aclose()


async def test_a_local_only_text_is_not_sent_to_an_ollama_cloud_model():
    remote = OllamaModel(NOMIC.name, capabilities=("embedding",), remote_host="https://ollama.example")
    async with open_embedder(remote) as (peer, embedder):
        await embedder.prepare()
        requests = len(peer.journal.exchanges)

        with pytest.raises(EmbedderUnavailable, match="may not leave the machine"):
            await embedder.embed(["secret"], local_only=True)

        assert all("secret" not in str(exchange.body) for exchange in peer.journal.exchanges[requests:])


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"embeddings": []}, 200),
        ({"embeddings": [["a"]]}, 200),
        ({"embeddings": "none"}, 200),
        ({"error": "this model does not support embeddings"}, 500),
    ],
)
async def test_the_error_for_a_response_without_valid_vectors_names_the_remedy(answer, status):
    peer = OllamaPeer(lambda _: Reply(""), (NOMIC,))

    async def embed(_):
        return JSONResponse(answer, status)

    routes = [route for route in peer.app.routes if getattr(route, "path", "") != "/api/embed"]
    async with serving(Starlette(routes=[Route("/api/embed", embed, methods=["POST"]), *routes])) as url:
        embedder = embedder_at(url)
        with pytest.raises(EmbedderUnavailable, match="CHARGEHAND_EMBEDDER=lexical") as raised:
            await embedder.prepare()
        await embedder.aclose()

    assert "vowel" not in str(raised.value)


def test_an_invalid_address_is_refused_at_construction():
    with pytest.raises(InvalidAddress):
        embedder_at("ftp://somewhere")


async def test_the_id_is_unavailable_before_preparation():
    with pytest.raises(EmbedderUnavailable):
        _ = embedder_at("http://127.0.0.1:9").id
