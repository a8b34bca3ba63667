"""Chroma's own embedding functions by name, without a download."""

import numpy as np
import pytest

from chargehand.memory_store.embedding.chroma_functions import ChromaFunctionEmbedder
from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.memory_store.embedding.lexical import embed

pytestmark = pytest.mark.anyio


def lexical_three_times_as_long(texts):
    return [vector * 3 for vector in embed(texts).astype(np.float64)]


async def test_it_gives_unit_vectors_and_finds_its_threshold():
    embedder = ChromaFunctionEmbedder("default", lambda _: lexical_three_times_as_long)
    await embedder.prepare()

    vectors = await embedder.embed(["one", "another"], local_only=True)

    assert (embedder.id, embedder.dimensions) == ("chroma:default", 256)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    assert 0.05 < embedder.similar_from < 0.95


async def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(EmbedderUnavailable, match=r"no embedding function 'nonsense'; it has .*onnx_mini_lm_l6_v2"):
        await ChromaFunctionEmbedder("nonsense").prepare()


async def test_a_function_that_lacks_its_package_or_key_says_what_it_asks_for():
    with pytest.raises(EmbedderUnavailable, match=r"openai fails .*CHARGEHAND_EMBEDDER=lexical"):
        await ChromaFunctionEmbedder("openai").prepare()


@pytest.mark.parametrize("answer", [[], [[]], [["a"]], [[float("nan")]], [[0.0, 0.0]]])
async def test_what_is_not_a_vector_is_refused(answer):
    with pytest.raises(EmbedderUnavailable, match="nonsense fails"):
        await ChromaFunctionEmbedder("nonsense", lambda _: lambda _: answer).embed(["text"])


async def test_a_private_text_is_not_given_to_a_function_that_sends_it_away():
    given = []
    embedder = ChromaFunctionEmbedder("openai", lambda _: lambda texts: given.append(texts) or embed(texts))

    with pytest.raises(EmbedderUnavailable, match="may not leave the machine"):
        await embedder.embed(["secret"], local_only=True)

    assert given == []


async def test_before_it_was_asked_its_dimensions_are_unknown():
    with pytest.raises(EmbedderUnavailable):
        _ = ChromaFunctionEmbedder("default").dimensions
