"""Thinking left in the visible text is separated from the answer, however the stream is chunked."""

import pytest

from chargehand.server.providers.think_tags import ThinkTags


def separate(pieces: list[str]) -> tuple[str, str]:
    """(thinking, answer)"""
    tags = ThinkTags()
    found = [piece for text in pieces for piece in tags.take(text)] + list(tags.flush())
    return tuple("".join(p.text for p in found if p.kind == kind) for kind in ("thinking", "answer"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>so</think>x = 1", ("so", "x = 1")),
        ("\n<think>\nso < 3\n</think>\n\nx = 1\n", ("\nso < 3\n", "x = 1\n")),
        ("x = 1", ("", "x = 1")),
        ("x = '<think>so</think>'", ("", "x = '<think>so</think>'")),
        ("<think></think>x", ("", "x")),
        ("<think>never ends </thi", ("never ends </thi", "")),
        ("<thin", ("", "<thin")),
        ("<thinner>", ("", "<thinner>")),
        ("<think>a</think>b<think>c</think>", ("a", "b<think>c</think>")),
        ("", ("", "")),
    ],
)
def test_only_a_leading_think_block_is_thinking_however_the_stream_is_chunked(text, expected):
    for size in (1, 2, 3, 5, 8, 100):
        assert separate([text[start : start + size] for start in range(0, len(text), size)]) == expected
