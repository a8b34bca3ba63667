"""The note that each kind of user gets when no model is available: it names what this user can fix."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running_server import OpenServer, Script, text_of

from chargehand.evaluation.peers.ollama import OllamaModel

pytestmark = pytest.mark.anyio

TASK = "Write slugify(text)"
UNUSED_ADDRESS = "http://127.0.0.1:9"
KEYS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")
OWN_PROFILE = (
    f"id: own\nname: Own\nprovider: openai_compatible\napi_model: own\nbase_url: {UNUSED_ADDRESS}/v1\n"
    "roles: {local: 1, local_coder: 1}\nlifecycle: {status: active, source: my own server, seen: 2026-11-25}\n"
)


@dataclass(frozen=True)
class User:
    """What a user has set up and requests, and the expected result."""

    status: str
    step: str
    """What the note must name."""
    without: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])
    limits: dict[str, float] = field(default_factory=dict[str, float])
    profile: str = ""


USERS = {
    "Ollama, stopped": User("failed", "ollama serve", (*KEYS, "OLLAMA_HOST"), {"OLLAMA_HOST": UNUSED_ADDRESS}),
    "Ollama, its models removed": User("failed", "ollama pull", KEYS),
    "Anthropic, too little money": User(
        "over_budget",
        "more than max_cost_usd 0.0000001. Raise it",
        ("CEREBRAS_API_KEY", "OLLAMA_HOST"),
        {"OLLAMA_HOST": UNUSED_ADDRESS},
        {"max_cost_usd": 1e-7},
    ),
    "Cerebras, no money": User(
        "over_budget",
        "more than max_cost_usd 0. Raise it",
        ("ANTHROPIC_API_KEY", "OLLAMA_HOST"),
        {"OLLAMA_HOST": UNUSED_ADDRESS},
        {"max_cost_usd": 0},
    ),
    "everything, and nothing may leave": User("refused", "ollama pull", (), {"CHARGEHAND_LOCAL_ONLY": "true"}),
    "a server of their own, stopped": User(
        "failed",
        f"{UNUSED_ADDRESS}/v1",
        (*KEYS, "OLLAMA_HOST"),
        {"OLLAMA_HOST": UNUSED_ADDRESS},
        profile=OWN_PROFILE,
    ),
}


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> User:
    chosen = USERS[request.param]
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    if chosen.profile:
        folder = tmp_path / "chargehand-home" / "profiles"
        folder.mkdir(parents=True)
        (folder / "own.yaml").write_text(chosen.profile)
    return chosen


async def test_one_short_note_names_what_the_user_can_fix(open_server: OpenServer, user: User):
    async with open_server(Script(), installed=(), without=user.without) as server:
        receipt = await server.call("delegate_generation", task=TASK, **user.limits)
        route = await server.call("route_task", task=TASK, **user.limits)

    assert receipt["status"] == user.status
    (note,) = receipt["notes"]
    assert note.count(user.step) == 1
    assert len(note) < 400
    assert "No key for" not in note
    assert route["warnings"] == receipt["notes"]


@pytest.mark.parametrize("user", ["Ollama, stopped", "a server of their own, stopped"], indirect=True)
async def test_reviews_name_the_remedy_for_the_vendor_that_the_user_has(open_server: OpenServer, user: User):
    async with open_server(Script(), without=user.without) as server:
        review = await server.client.call_tool("strategic_review", {"goal": "ship", "progress": "half"})
        validation = await server.call("validate_code", code="def f(x):\n    return x\n", depth="review")

    for text in (text_of(review), " ".join(validation["notes"])):
        assert user.step in text
        assert "No key for" not in text


MISTRAL = OllamaModel("mistral:7b", context_tokens=32_768, family="llama", digest="e" * 64)


async def test_a_model_without_a_profile_is_named_with_the_command_that_creates_one(open_server: OpenServer):
    embedder = OllamaModel("nomic-embed-text:latest", capabilities=("embedding",))
    async with open_server(Script(), installed=(MISTRAL, embedder), without=KEYS) as server:
        (note,) = (await server.call("delegate_generation", task=TASK))["notes"]
        unknown = await server.refusal("delegate_generation", task=TASK, model="mistral:7b")

    assert "which has mistral:7b. `chargehand profiles update --from-releases`" in note
    assert "ollama pull" not in note
    assert "`chargehand profiles update --from-releases`" in unknown


async def test_the_note_names_the_evaluation_of_a_model_on_probation_if_no_other_exists(
    open_server: OpenServer, tmp_path: Path
):
    folder = tmp_path / "chargehand-home" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mistral-7b.yaml").write_text(
        "id: mistral-7b\nname: Mistral\nprovider: ollama\napi_model: mistral:7b\nroles: {local: 3}\n"
        "lifecycle: {status: active, on_probation: true, source: Ollama show, seen: 2026-11-30}\n"
    )
    async with open_server(Script(), installed=(MISTRAL,), without=KEYS) as server:
        (note,) = (await server.call("delegate_generation", task=TASK))["notes"]

    assert "`chargehand evaluate --models mistral-7b`" in note
    assert 'model="mistral-7b" asks it now' in note
