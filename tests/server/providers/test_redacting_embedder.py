"""An embedder elsewhere gets no text that must stay, and none with a secret in it."""

import numpy as np
import pytest
from planted import AWS_KEY

from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.server.providers.redacting_embedder import RedactingEmbedder
from chargehand.tools.guarding.secrets import SecretSearch

pytestmark = pytest.mark.anyio


class Elsewhere:
    """An embedder that writes down what it was sent."""

    id, dimensions, similar_from, is_remote = "elsewhere", 2, 0.5, True

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


async def test_a_secret_is_replaced_in_what_is_embedded_elsewhere():
    inner = Elsewhere()
    embedder = RedactingEmbedder(inner, SecretSearch(), local_only=False)

    await embedder.prepare()
    vectors = await embedder.embed([f"Rotate {AWS_KEY} now", "Nothing here"])

    assert vectors.shape == (2, 2)
    assert inner.received == ["probe", "Rotate AKIA<redacted:aws-access-key> now", "Nothing here"]
    assert (embedder.id, embedder.dimensions, embedder.similar_from) == ("elsewhere", 2, 0.5)


async def test_a_text_that_must_stay_is_not_embedded_elsewhere():
    inner = Elsewhere()

    with pytest.raises(EmbedderUnavailable):
        await RedactingEmbedder(inner, SecretSearch(), local_only=False).embed(["private"], local_only=True)

    assert inner.received == []


async def test_with_the_setting_an_embedder_elsewhere_is_not_asked_at_all():
    inner = Elsewhere()
    embedder = RedactingEmbedder(inner, SecretSearch(), local_only=True)

    with pytest.raises(EmbedderUnavailable, match="CHARGEHAND_EMBEDDER=lexical"):
        await embedder.prepare()
    with pytest.raises(EmbedderUnavailable, match="CHARGEHAND_EMBEDDER=lexical"):
        await embedder.embed(["a"])

    assert inner.received == []
