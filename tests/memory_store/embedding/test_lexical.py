"""The lexical embedder: which texts it considers similar, and that its vectors stay the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.memory_store.embedding.lexical import DIMENSIONS, LexicalEmbedder, embed

pytestmark = pytest.mark.anyio

TASK = "Write a function that parses an ISO 8601 date string and returns a datetime."


def cosine(first_text: str, second_text: str) -> float:
    first, second = embed([first_text, second_text])
    return float(first @ second)


def test_rewordings_are_above_the_similarity_threshold_and_unrelated_tasks_below(rewordings):
    originals, reworded = embed([a for a, _ in rewordings]), embed([b for _, b in rewordings])

    same = np.diag(originals @ reworded.T)
    everything = np.concatenate([originals, reworded])
    cosines = everything @ everything.T
    count = len(rewordings)
    unrelated = [
        cosines[row, column] for row in range(2 * count) for column in range(2 * count) if row % count != column % count
    ]

    assert count >= 20
    assert same.min() > LexicalEmbedder.similar_from + 0.15
    assert max(unrelated) < LexicalEmbedder.similar_from - 0.1


def test_the_nearest_original_of_each_rewording_is_its_own(rewordings):
    originals, reworded = embed([a for a, _ in rewordings]), embed([b for _, b in rewordings])

    assert list((reworded @ originals.T).argmax(axis=1)) == list(range(len(rewordings)))


@pytest.mark.parametrize(
    "same",
    [
        TASK.upper(),
        f"Hello! Could you please do this for me: {TASK} Thanks!",
        "Returns a datetime: write a function that parses an ISO 8601 date string.",
        f"  {TASK}\n\n",
    ],
)
def test_case_politeness_word_order_and_whitespace_hardly_matter(same):
    assert cosine(TASK, same) > 0.95


def test_snake_case_camel_case_and_separate_words_embed_the_same():
    snake, camel, words = embed(["rename parse_http_header", "rename parseHTTPHeader", "rename parse http header"])

    assert snake @ camel == pytest.approx(1)
    assert snake @ words == pytest.approx(1)


def test_inflected_words_match_and_shared_word_parts_raise_similarity():
    assert cosine("parser for the date", "parsing of dates") > 0.95
    assert cosine("deserialize", "serializer") > cosine("deserialize", "upload") + 0.2


def test_vectors_are_unchanged_since_version_1():
    # When this fails, the version in the id must rise: stored vectors are no longer comparable.
    vector = embed([TASK])[0]

    assert LexicalEmbedder.id == "lexical-1-256"
    assert vector.dtype == np.float32
    assert [int(index) for index in np.argsort(-np.abs(vector), kind="stable")[:6]] == [235, 140, 160, 174, 215, 30]
    assert embed(["naïve Straße 写一个函数"])[0].nonzero()[0].size > 10


@pytest.mark.parametrize("empty", ["", "   ", "?!", "\x00", "___"])
def test_texts_without_words_share_one_vector(empty):
    assert cosine(empty, "...") == pytest.approx(1)


@given(st.text(max_size=300))
def test_vectors_are_deterministic_and_of_unit_length(text):
    vectors = embed([text, text])

    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert (vectors[0] == vectors[1]).all()


async def test_the_embedder_returns_one_row_per_text_in_order():
    embedder = LexicalEmbedder()
    await embedder.prepare()

    vectors = await embedder.embed(["one thing", "another matter"], local_only=True)

    assert vectors.shape == (2, DIMENSIONS)
    assert (vectors == embed(["one thing", "another matter"])).all()
    assert (await embedder.embed([])).shape == (0, DIMENSIONS)
