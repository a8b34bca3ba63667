"""The models that OpenAI-compatible servers list, for profiles that name the servers by `base_url`."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.serving import serving

pytestmark = pytest.mark.anyio

KEY = "made-up-key-of-a-server"


@dataclass
class Server:
    """Lists models as vLLM does. key: the API key that it requires; None: it requires none."""

    models: list[dict[str, Any]]
    key: str | None = None
    asked: list[str] = field(default_factory=list[str])

    async def list(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "no"}, 401)
        return JSONResponse({"object": "list", "data": self.models})

    @contextlib.asynccontextmanager
    async def serve_with_profile(self, home: Path, *, key_variable: str | None = None) -> AsyncGenerator[str]:
        """Starts the server, writes a user profile that names its address, and yields the address."""
        async with serving(Starlette(routes=[Route("/v1/models", self.list)])) as url:
            lines = ["id: mine", "name: Mine", "provider: openai_compatible", "api_model: org/My-Model"]
            lines += [f"base_url: {url}/v1", "lifecycle: {status: active, source: me, seen: 2026-11-25}"]
            lines += [f"api_key_env: {key_variable}"] if key_variable else []
            (home / "profiles").mkdir(parents=True)
            (home / "profiles" / "mine.yaml").write_text("\n".join(lines), encoding="utf-8")
            yield f"{url}/v1"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    return tmp_path / "chargehand-home"


async def test_a_new_model_on_the_server_gets_a_profile_with_its_address_and_window(update, home: Path):
    server = Server([{"id": "org/My-Model"}, {"id": "org/Other-7B", "max_model_len": 32_768}])
    async with server.serve_with_profile(home) as address:
        result = await update(apply=True)

    (profile,) = result.proposed.values()
    assert (profile["id"], profile["api_model"]) == ("org-other-7b", "org/Other-7B")
    assert (profile["base_url"], profile["context_tokens"]) == (address, 32_768)
    assert profile["lifecycle"]["on_probation"]
    assert "roles" not in profile
    assert result.json["written"] == 1


async def test_the_servers_key_is_read_from_the_variable_named_in_its_profile(update, home: Path, monkeypatch):
    server = Server([{"id": "org/My-Model"}, {"id": "new"}], key=KEY)
    async with server.serve_with_profile(home, key_variable="MY_SERVERS_KEY"):
        without = await update()
        requests_without_key = list(server.asked)
        monkeypatch.setenv("MY_SERVERS_KEY", "wrong")
        wrong = await update()
        monkeypatch.setenv("MY_SERVERS_KEY", KEY)
        right = await update()

    assert any("set MY_SERVERS_KEY" in notice for notice in without.json["notices"])
    assert requests_without_key == []
    assert (without.code, wrong.code, right.code) == (0, 1, 0)
    assert "refuses the key (401): correct MY_SERVERS_KEY" in wrong.error
    assert ("new",) in right.proposed
    assert right.proposed["new",]["api_key_env"] == "MY_SERVERS_KEY"
    assert KEY not in right.out + right.error


async def test_a_listing_with_a_path_as_model_id_is_rejected_as_a_whole(update, home: Path):
    async with Server([{"id": "org/My-Model"}, {"id": "org/../../x"}]).serve_with_profile(home):
        result = await update()

    assert (result.code, result.proposed) == (1, {})
    assert "is not a model id" in result.error


async def test_an_unusable_address_in_a_profile_is_named_and_the_other_servers_are_asked(update, home: Path):
    server = Server([{"id": "org/My-Model"}, {"id": "org/Other-7B"}])
    async with server.serve_with_profile(home):
        broken = (home / "profiles" / "mine.yaml").read_text().replace("id: mine", "id: broken")
        address = next(line for line in broken.splitlines() if line.startswith("base_url:"))
        (home / "profiles" / "broken.yaml").write_text(broken.replace(address, 'base_url: "http://[::1/v1"'))
        result = await update()

    assert ("org-other-7b",) in result.proposed
    assert result.code == 1
    assert "`base_url` in the profile broken does not hold a usable address." in result.error


async def test_servers_that_only_headers_tell_apart_are_asked_each_with_its_own(update, home: Path, monkeypatch):
    async def models(request: Request) -> Response:
        team = request.headers["x-team"]
        ids = (f"org/of-{team}", f"new-of-{team}", "new-of-both", "org/of-three")
        return JSONResponse({"data": [{"id": name} for name in ids]})

    monkeypatch.setenv("TEAM_ONE", "one")
    async with serving(Starlette(routes=[Route("/v1/models", models)])) as url:
        (home / "profiles").mkdir(parents=True)
        for team, value in (("one", "${TEAM_ONE}"), ("two", "two"), ("three", "${TEAM_THREE}")):
            text = f"""
id: {team}
name: Model of {team}
provider: openai_compatible
api_model: org/of-{team}
base_url: {url}/v1
headers:
  X-Team: {value}
lifecycle: {{status: active, source: me, seen: 2026-11-25}}
"""
            (home / "profiles" / f"{team}.yaml").write_text(text, encoding="utf-8")
        result = await update(apply=True)

    assert {name: result.proposed[name,]["headers"] for name in ("new-of-one", "new-of-two")} == {
        "new-of-one": {"X-Team": "${TEAM_ONE}"},
        "new-of-two": {"X-Team": "two"},
    }
    assert {name for (name,) in result.proposed} == {"new-of-one", "new-of-two", "new-of-both"}
    assert not any("no profile id is free" in notice for notice in result.json["notices"])
    assert not any("org/of-" in notice for notice in result.json["notices"])  # none is reported as absent
    assert any("set TEAM_THREE" in notice for notice in result.json["notices"])
