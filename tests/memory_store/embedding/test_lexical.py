"""The default embedder: what it takes for alike, and that it stays the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.memory_store.embedding.lexical import LexicalEmbedder, embed

pytestmark = pytest.mark.anyio

TASK = "Write a function that parses an ISO 8601 date string and returns a datetime."


def cosine(one: str, other: str) -> float:
    first, second = embed([one, other])
    return float(first @ second)


def test_every_rewording_is_similar_and_every_other_task_is_not(rewordings):
    told, again = embed([a for a, _ in rewordings]), embed([b for _, b in rewordings])

    same = np.diag(told @ again.T)
    everything = np.concatenate([told, again])
    cosines = everything @ everything.T
    count = len(rewordings)
    unrelated = [
        cosines[row, column] for row in range(2 * count) for column in range(2 * count) if row % count != column % count
    ]

    assert count >= 20
    assert same.min() > LexicalEmbedder.similar_from + 0.15
    assert max(unrelated) < LexicalEmbedder.similar_from - 0.1


def test_a_reworded_task_finds_its_original_first(rewordings):
    told, again = embed([a for a, _ in rewordings]), embed([b for _, b in rewordings])

    assert list((again @ told.T).argmax(axis=1)) == list(range(len(rewordings)))


@pytest.mark.parametrize(
    "same",
    [
        TASK.upper(),
        f"Hello! Could you please do this for me: {TASK} Thanks!",
        "Returns a datetime: write a function that parses an ISO 8601 date string.",
        f"  {TASK}\n\n",
    ],
)
def test_case_politeness_order_and_space_make_next_to_no_difference(same):
    assert cosine(TASK, same) > 0.95


def test_an_identifier_is_the_same_in_every_spelling():
    snake, camel, words = embed(["rename parse_http_header", "rename parseHTTPHeader", "rename parse http header"])

    assert snake @ camel == pytest.approx(1)
    assert snake @ words == pytest.approx(1)


def test_the_forms_of_a_word_are_one_word_and_a_shared_piece_is_better_than_none():
    assert cosine("parser for the date", "parsing of dates") > 0.95
    assert cosine("deserialize", "serializer") > cosine("deserialize", "upload") + 0.2


def test_the_vectors_are_those_of_version_1():
    # When this fails, the version in the id must rise: stored vectors are no longer comparable.
    vector = embed([TASK])[0]

    assert LexicalEmbedder.id == "lexical-1-256"
    assert vector.dtype == np.float32
    assert [int(place) for place in np.argsort(-np.abs(vector), kind="stable")[:6]] == [235, 140, 160, 174, 215, 30]
    assert embed(["naïve Straße 写一个函数"])[0].nonzero()[0].size > 10


@pytest.mark.parametrize("empty", ["", "   ", "?!", "\x00", "___"])
def test_a_text_without_a_word_has_a_vector_too(empty):
    assert cosine(empty, "...") == pytest.approx(1)


@given(st.text(max_size=300))
def test_every_vector_is_finite_and_of_unit_length(text):
    vectors = embed([text, text])

    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert (vectors[0] == vectors[1]).all()


async def test_the_embedder_gives_a_row_for_each_text_in_order():
    embedder = LexicalEmbedder()
    await embedder.prepare()

    vectors = await embedder.embed(["one thing", "another matter"], local_only=True)

    assert vectors.shape == (2, embedder.dimensions)
    assert (vectors == embed(["one thing", "another matter"])).all()
    assert (await embedder.embed([])).shape == (0, embedder.dimensions)
