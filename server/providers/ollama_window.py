"""Chooses the context window to request from Ollama, in steps, so that it does not reload the model for every prompt.

A num_ctx other than the loaded one makes Ollama reload the model, which takes seconds to minutes.
A prompt that does not fit is truncated without an error:

- Since 0.30, a prompt over num_ctx - 1 tokens keeps its first four (five with a start token) and its
  tail, about half the window in total (`contextShiftPromptLimit` in `llm/llama_server.go`, ollama 0.34).
- Earlier versions truncated it to num_ctx.

In both cases `prompt_eval_count` is the truncated length. It includes cached tokens, except in old versions
(before 0.2.2, and 0.30 until June 2026: ollama pull requests 5371 and 16428), so a small count does not
prove truncation; only the two lengths above do. Whole older turns that the server dropped cannot be
detected; the window is chosen large enough for estimate and answer, so that it has no reason to drop any.
MLX models read prompts up to their own window whatever num_ctx says (ollama issue 18125), so a count above
num_ctx is of a whole prompt. Seen 2026-12-01.
"""

from dataclasses import dataclass

STEPS = (4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)

_KEPT_TOKENS = (4, 5)
_MIN_ANSWER_TOKENS = 512
"""If less room than this, and less than requested, is left for the answer, the request is not worth starting."""


@dataclass(frozen=True)
class Window:
    """The options to send: `num_ctx`, and `num_predict` within it."""

    num_ctx: int
    num_predict: int


def choose_window(
    prompt_tokens: int, max_output_tokens: int, *, model_max_tokens: int | None, loaded_tokens: int | None
) -> Window | None:
    """The window for a prompt and its answer. None: they do not fit.

    prompt_tokens: a generous estimate. model_max_tokens: the model's own window; None: not known.
    loaded_tokens: the window the model is loaded with, kept if it is large enough; None: not loaded.
    """
    needed = prompt_tokens + max_output_tokens
    if loaded_tokens is not None and loaded_tokens >= needed:
        return Window(loaded_tokens, max_output_tokens)
    step = next((step for step in STEPS if step >= needed), needed)
    num_ctx = step if model_max_tokens is None else min(step, model_max_tokens)
    room = num_ctx - prompt_tokens
    if room < min(max_output_tokens, _MIN_ANSWER_TOKENS):
        return None
    return Window(num_ctx, min(max_output_tokens, room))


def was_truncated(prompt_eval_count: int, num_ctx: int) -> bool:
    """Whether the count shows that the server truncated the prompt."""
    halved = {num_ctx - max((num_ctx - kept) // 2, 1) for kept in _KEPT_TOKENS}
    return num_ctx - 1 <= prompt_eval_count <= num_ctx or prompt_eval_count in halved
