"""A remote embedder receives no local-only text and no secret."""

import numpy as np
import pytest
from planted import AWS_KEY

from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.server.providers.redacting_embedder import RedactingEmbedder
from chargehand.tools.guarding.secrets import SecretSearch

pytestmark = pytest.mark.anyio


class RemoteEmbedder:
    """A remote embedder that records what it receives."""

    id, similar_from, is_remote = "elsewhere", 0.5, True

    def __init__(self) -> None:
        self.received: list[str] = []

    async def prepare(self) -> None:
        self.received.append("probe")

    async def embed(self, texts, *, local_only=False):
        if local_only:
            raise EmbedderUnavailable("it would leave")
        self.received += texts
        return np.ones((len(texts), 2))

    async def aclose(self) -> None:
        self.received.append("closed")


async def test_a_secret_is_redacted_before_remote_embedding():
    inner = RemoteEmbedder()
    embedder = RedactingEmbedder(inner, SecretSearch(), local_only=False)

    await embedder.prepare()
    vectors = await embedder.embed([f"Rotate {AWS_KEY} now", "Nothing here"])

    assert vectors.shape == (2, 2)
    assert inner.received == ["probe", "Rotate AKIA<redacted:aws-access-key> now", "Nothing here"]
    assert (embedder.id, embedder.similar_from) == ("elsewhere", 0.5)


async def test_a_local_only_text_is_not_sent_to_a_remote_embedder():
    inner = RemoteEmbedder()

    with pytest.raises(EmbedderUnavailable):
        await RedactingEmbedder(inner, SecretSearch(), local_only=False).embed(["private"], local_only=True)

    assert inner.received == []


async def test_a_remote_embedder_is_not_contacted_under_the_local_only_setting():
    inner = RemoteEmbedder()
    embedder = RedactingEmbedder(inner, SecretSearch(), local_only=True)

    with pytest.raises(EmbedderUnavailable, match="CHARGEHAND_EMBEDDER=lexical"):
        await embedder.prepare()
    with pytest.raises(EmbedderUnavailable, match="CHARGEHAND_EMBEDDER=lexical"):
        await embedder.embed(["a"])

    assert inner.received == []
