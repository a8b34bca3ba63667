"""Chroma's own embedding functions by name, without a download."""

import numpy as np
import pytest

from chargehand.memory_store.embedding.chroma_functions import ChromaFunctionEmbedder
from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.memory_store.embedding.lexical import embed

pytestmark = pytest.mark.anyio


def lexical_scaled_by_three(texts):
    return [vector * 3 for vector in embed(texts).astype(np.float64)]


async def test_vectors_are_normalized_and_the_similarity_threshold_is_calibrated():
    embedder = ChromaFunctionEmbedder("default", lambda _: lexical_scaled_by_three)
    await embedder.prepare()

    vectors = await embedder.embed(["one", "another"], local_only=True)

    assert embedder.id == "chroma:default"
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    assert 0.05 < embedder.similar_from < 0.95


async def test_an_unknown_function_name_is_refused_with_the_known_names():
    with pytest.raises(EmbedderUnavailable, match=r"no embedding function 'nonsense'; it has .*onnx_mini_lm_l6_v2"):
        await ChromaFunctionEmbedder("nonsense").prepare()


async def test_a_function_without_its_package_or_key_is_reported_with_a_remedy():
    with pytest.raises(EmbedderUnavailable, match=r"openai fails .*CHARGEHAND_EMBEDDER=lexical"):
        await ChromaFunctionEmbedder("openai").prepare()


@pytest.mark.parametrize("answer", [[], [[]], [["a"]], [[float("nan")]], [[0.0, 0.0]]])
async def test_results_that_are_not_vectors_are_refused(answer):
    with pytest.raises(EmbedderUnavailable, match="nonsense fails"):
        await ChromaFunctionEmbedder("nonsense", lambda _: lambda _: answer).embed(["text"])


async def test_local_only_texts_are_not_passed_to_a_remote_function():
    sent = []
    embedder = ChromaFunctionEmbedder("openai", lambda _: lambda texts: sent.append(texts) or embed(texts))

    with pytest.raises(EmbedderUnavailable, match="may not leave the machine"):
        await embedder.embed(["secret"], local_only=True)

    assert sent == []


async def test_the_similarity_threshold_is_unknown_before_the_first_call():
    with pytest.raises(EmbedderUnavailable):
        _ = ChromaFunctionEmbedder("default").similar_from
