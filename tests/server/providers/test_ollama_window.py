"""The context window requested from Ollama, and the detection of truncated prompts."""

import pytest

from chargehand.server.providers.ollama_window import Window, choose_window, was_truncated


@pytest.mark.parametrize(
    ("prompt", "output", "limit", "loaded", "expected"),
    [
        (100, 1_000, None, None, Window(4_096, 1_000)),
        (3_096, 1_000, None, None, Window(4_096, 1_000)),
        (3_097, 1_000, None, None, Window(8_192, 1_000)),
        (100_000, 8_000, None, None, Window(131_072, 8_000)),
        (300_000, 8_000, None, None, Window(308_000, 8_000)),
        (100, 1_000, 40_960, 32_768, Window(32_768, 1_000)),
        (40_000, 900, 40_960, 32_768, Window(40_960, 900)),
        (30_000, 20_000, 40_960, None, Window(40_960, 10_960)),
        (40_500, 20_000, 40_960, None, None),
        (40_800, 100, 40_960, None, Window(40_960, 100)),
        (50_000, 1_000, 40_960, 32_768, None),
        (100, 1_000, None, 0, Window(4_096, 1_000)),
    ],
)
def test_the_window_holds_prompt_and_answer_and_a_loaded_one_is_kept_if_it_suffices(
    prompt, output, limit, loaded, expected
):
    assert choose_window(prompt, output, model_max_tokens=limit, loaded_tokens=loaded) == expected


@pytest.mark.parametrize(
    ("count", "truncated"), [(4_098, True), (4_099, True), (8_191, True), (8_192, True), (8_190, False), (8_193, False)]
)
def test_a_truncated_prompt_is_recognized_by_its_token_count(count, truncated):
    assert was_truncated(count, 8_192) is truncated


def test_a_small_token_count_does_not_count_as_truncation():
    # Some versions leave cached tokens out of the count.
    assert not was_truncated(1, 8_192)
