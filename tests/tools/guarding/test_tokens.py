"""Estimates and upper bounds of token counts."""

import pytest

from chargehand.tools.asking.tokens import estimate_tokens, most_tokens

TEXTS = {
    "nothing": "",
    "prose": "Write a function that returns the sum of a list of numbers. " * 20,
    "code": "def add(a: int, b: int) -> int:\n    return (a + b) if a else b\n\n" * 20,
    "dense": "{}[]();:=+-*/<>!@#$%^&|~`" * 20,
    "chinese": "请写一个函数计算列表中所有数字的总和" * 20,
    "emoji": "👩‍👩‍👧😀🎉" * 20,
    "half a character": "\ud800" * 20,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_upper_bound_is_at_least_100_tokens_above_the_estimate(text: str):
    assert most_tokens(text) >= estimate_tokens(text) + 100


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_longer_text_never_has_fewer_tokens(text: str):
    assert estimate_tokens(text + "x") >= estimate_tokens(text)
    assert most_tokens(text + "é") >= most_tokens(text)


def test_the_estimate_for_3200_ascii_characters_is_1000_tokens():
    assert estimate_tokens("x" * 3_200) == 1_000


def test_the_upper_bound_for_emoji_and_chinese_depends_on_their_bytes():
    assert most_tokens("请" * 100) == 225 + 100
    assert most_tokens("😀" * 100) == 300 + 100
