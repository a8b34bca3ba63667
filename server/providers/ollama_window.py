"""The context window to ask Ollama for, in steps, so that it does not reload the model for every prompt.

Another num_ctx than the loaded one makes Ollama load the model anew, which takes seconds to minutes.
A prompt that does not fit is cut without an error:

- From 0.30 on, a prompt over num_ctx - 1 tokens keeps its first four (five with a start token) and its
  tail, about half the window in all (`contextShiftPromptLimit` in `llm/llama_server.go`, ollama 0.34).
- Before that it was cut to num_ctx.

Either way `prompt_eval_count` is what was left. It counts cached tokens too, except in old versions
(before 0.2.2, and 0.30 until June 2026: ollama pull requests 5371 and 16428), so that a small count is
no proof of a cut, and only the two marks above are. Older turns that the server dropped whole leave no
mark; the window is chosen with room for estimate and answer so that it has no reason to.
Seen 2026-11-24.
"""

from dataclasses import dataclass

STEPS = (4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)

_KEPT_TOKENS = (4, 5)
_MIN_ANSWER_TOKENS = 512
"""An answer that has less room than this, or than was asked for, is not worth starting."""


@dataclass(frozen=True)
class Window:
    """What to send: `num_ctx`, and `num_predict` within it."""

    num_ctx: int
    num_predict: int


def choose_window(
    prompt_tokens: int, max_output_tokens: int, *, model_max_tokens: int | None, loaded_tokens: int | None
) -> Window | None:
    """The window for a prompt and its answer. None: they do not fit.

    prompt_tokens: estimated, rather high. most_tokens: the model's own window; None: not known.
    loaded_tokens: the window it is loaded with, kept while it is big enough; None: not loaded.
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
    """Whether the count bears the mark of a prompt that the server cut to fit."""
    halved = {num_ctx - max((num_ctx - kept) // 2, 1) for kept in _KEPT_TOKENS}
    return prompt_eval_count >= num_ctx - 1 or prompt_eval_count in halved
