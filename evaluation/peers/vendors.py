"""The three vendors' peers with models of November 2026, each on its own port."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from .anthropic import AnthropicPeer
from .anthropic_request import ClaudeModel
from .cerebras import CerebrasModel, CerebrasPeer
from .ollama import OllamaModel, OllamaPeer
from .reply import Answer
from .serving import serving

KEY = "made-up-key-of-a-local-peer"

_EFFORTS = ("low", "medium", "high", "xhigh", "max")

# Parameters: https://platform.claude.com/docs/en/about-claude/models/overview (seen 2026-11-23).
CLAUDE_MODELS = (
    ClaudeModel("claude-haiku-5-5", frozenset({"adaptive", "disabled"}), _EFFORTS, line="haiku"),
    ClaudeModel("claude-sonnet-5-5", frozenset({"adaptive", "between_tools"}), _EFFORTS, line="sonnet"),
    ClaudeModel("claude-opus-5-5", frozenset({"adaptive"}), _EFFORTS, line="opus"),
)
# https://inference-docs.cerebras.ai/models; prices: genai-prices 0.2.3 (seen 2026-11-23).
CEREBRAS_MODELS = (
    CerebrasModel(
        "gpt-oss-120b",
        ("low", "medium", "high"),
        input_usd_per_million_tokens=0.35,
        output_usd_per_million_tokens=0.75,
    ),
    CerebrasModel(
        "qwen-3.8-27b",
        ("none", "low", "medium", "high"),
        input_usd_per_million_tokens=0.99,
        output_usd_per_million_tokens=1.49,
    ),
)
QWEN = OllamaModel("qwen3:30b-a3b", context_tokens=262_144, capabilities=("completion", "tools", "thinking"))


@dataclass(frozen=True)
class Vendors:
    """The peers, and the environment variables that direct Chargehand to them."""

    ollama: OllamaPeer
    cerebras: CerebrasPeer
    anthropic: AnthropicPeer
    environment: dict[str, str]


@contextlib.asynccontextmanager
async def vendors(
    answer: Answer,
    *,
    installed: Sequence[OllamaModel] = (QWEN,),
    claude: Sequence[ClaudeModel] = CLAUDE_MODELS,
    at_cerebras: Sequence[CerebrasModel] = CEREBRAS_MODELS,
) -> AsyncGenerator[Vendors]:
    """Run all three peers with the same answer function while the block runs.

    installed: the models that Ollama has.
    """
    ollama = OllamaPeer(answer, installed)
    cerebras = CerebrasPeer(answer, at_cerebras, api_key=KEY)
    anthropic = AnthropicPeer(answer, claude, api_key=KEY)
    async with (
        serving(ollama.app) as ollama_url,
        serving(cerebras.app) as cerebras_url,
        serving(anthropic.app) as anthropic_url,
    ):
        yield Vendors(
            ollama=ollama,
            cerebras=cerebras,
            anthropic=anthropic,
            environment={
                "OLLAMA_HOST": ollama_url,
                "CEREBRAS_API_KEY": KEY,
                "CEREBRAS_BASE_URL": cerebras_url,
                "ANTHROPIC_API_KEY": KEY,
                "ANTHROPIC_BASE_URL": anthropic_url,
            },
        )
