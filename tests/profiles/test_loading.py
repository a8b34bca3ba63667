"""Loading the user's own profiles and routing, and reporting mistakes in them."""

import datetime as dt
from pathlib import Path

import pytest

from chargehand.profiles.loading import load_catalogue

SHIPPED = load_catalogue()
TODAY = dt.date(2026, 11, 24)
OWN = """
id: my-vllm
name: Mine
provider: openai_compatible
api_model: org/My-Model
base_url: http://127.0.0.1:8000/v1
api_key_env: MY_KEY
line: Mine
roles: {economy: 1}
lifecycle: {status: active, source: me, seen: 2026-11-24}
"""


def _load(folder: Path, **files: str):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_catalogue(folder)


def test_a_missing_folder_gives_the_shipped_profiles(tmp_path: Path):
    assert load_catalogue(tmp_path / "none").profiles == SHIPPED.profiles


def test_a_users_file_overrides_single_fields(tmp_path: Path):
    catalogue = _load(
        tmp_path, mine="id: claude-opus-5-5\ncontext_tokens: 200000\nprice: {input_usd_per_million_tokens: 3}\n"
    )

    mine, shipped = catalogue.profiles["claude-opus-5-5"], SHIPPED.profiles["claude-opus-5-5"]
    assert mine.context_tokens == 200_000
    assert mine.price is not None
    assert shipped.price is not None
    assert mine.price == shipped.price.model_copy(update={"input_usd_per_million_tokens": 3})
    assert mine.model_copy(update={"context_tokens": 1_000_000, "price": shipped.price}) == shipped
    assert catalogue.problems == ()


def test_null_removes_a_group_of_fields(tmp_path: Path):
    catalogue = _load(tmp_path, mine="id: qwen3-30b-a3b\nthinking: null\n")

    assert SHIPPED.profiles["qwen3-30b-a3b"].thinking is not None
    assert catalogue.profiles["qwen3-30b-a3b"].thinking is None


def test_null_removes_a_role(tmp_path: Path):
    catalogue = _load(tmp_path, mine="id: gpt-oss-120b\nroles: {fast_coder: null}\n")

    assert catalogue.profiles["gpt-oss-120b"].roles == {}
    assert [p.id for p in catalogue.models_in_role("fast_coder", TODAY)] == ["qwen-3.8-27b"]


def test_a_users_list_replaces_the_whole_shipped_list(tmp_path: Path):
    catalogue = _load(tmp_path, mine="id: qwen3-30b-a3b\nstrengths: [Mine alone]\n")

    assert catalogue.profiles["qwen3-30b-a3b"].strengths == ("Mine alone",)


def test_a_users_profile_of_an_openai_compatible_server_is_added(tmp_path: Path):
    catalogue = _load(tmp_path, own=OWN)

    assert catalogue.problems == ()
    assert [p.id for p in catalogue.models_in_role("economy", TODAY)] == ["claude-haiku-5-5", "my-vllm"]
    for name in ("my-vllm", "MINE", "org/my-model", "openai_compatible/my-vllm", "openai_compatible/org/My-Model"):
        assert [p.id for p in catalogue.named(name, TODAY)] == ["my-vllm"]


def test_a_retired_model_can_be_activated_again(tmp_path: Path):
    catalogue = _load(tmp_path, mine="id: claude-3-opus\nlifecycle: {status: active}\n")

    assert [p.id for p in catalogue.models_in_role("director", TODAY)] == ["claude-3-opus", "claude-opus-5-5"]


def test_the_users_routing_overrides_the_shipped_routing_field_by_field(tmp_path: Path):
    catalogue = _load(
        tmp_path, routing="memory_confidence_above: 0.9\nrules:\n  - {complexity_at_most: 10, role: director}\n"
    )

    assert catalogue.rules.memory_confidence_above == 0.9
    assert [r.role for r in catalogue.rules.rules] == ["director"]
    assert catalogue.rules.local_rules == SHIPPED.rules.local_rules


def test_an_invalid_users_routing_is_reported_and_the_shipped_routing_applies(tmp_path: Path):
    catalogue = _load(tmp_path, routing="rules:\n  - {complexity_at_most: 7, role: director}\n")

    assert catalogue.rules == SHIPPED.rules
    assert "routing.yaml" in str(catalogue.problems[0])
    assert "the last of rules must fit every task" in str(catalogue.problems[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: qwen3-14b\ncontext_tokens: -1\n", ["context_tokens", "greater than 0", "got -1", "Correct the value"]),
        ("id: qwen3-14b\nroles: {boss: 1}\n", ["roles.boss", "local_coder"]),
        ("id: qwen3-14b\nlifecycle:\n  retires_on: 2027-02-30\n", ["no timestamp", "line 3", "Fix that line"]),
        ("id: qwen3-14b\ncontext_tokens: !!int many\n", ["not YAML: no int", "line 2"]),
        ("id: qwen3-14b\nroles: {local: 1,\n local: 2}\n", ["'local' occurs twice", "line 3"]),
        ("id: qwen3-14b\ncontxt_tokens: 1\n", ["contxt_tokens", "got 1", "correct its spelling"]),
        ("id: new-one\nname: New\n", ["provider", "Field required", "Add the field"]),
        ("id: claude-opus-5-5\nprice: null\n", ["anthropic", "needs a `price`"]),
        ("id: claude-opus-5-5\nprice: {seen: yesterday}\n", ["price.seen", "got 'yesterday'"]),
        ("id: claude-opus-5-5\nlifecycle: {status: deprecated}\n", ["lifecycle.retires_on"]),
        ("id: claude-opus-5-5\nprovider: openai\n", ["provider", "openai_compatible", "got 'openai'"]),
        (
            "id: x\nname: X\nprovider: openai_compatible\napi_model: x\n"
            "lifecycle: {status: active, source: me, seen: 2026-11-24}\n",
            ["needs the `base_url`"],
        ),
        ("id: Bad Name\n", ["id", "pattern", "got 'Bad Name'"]),
        ("name: no id\n", ["id: missing", "Add `id: NAME`"]),
        ("id: 7\n", ["id: missing, or not text"]),
        ("- a\n- list\n", ["must hold fields", "list"]),
        ("", ["must hold fields", "NoneType"]),
        ("id: [unclosed\n", ["not YAML", "Fix that line"]),
        ("id: !!python/object/apply:os.system ['true']\n", ["not YAML"]),
        ("id: qwen3-14b\nspeed: fast\n", ["speed", "got 'fast'"]),
        ("id: qwen3-14b\nroles: 3\n", ["roles", "got 3"]),
        ("id: qwen3-14b\n? {a: 1}\n: 2\n", ["mine.yaml"]),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_remedy_and_other_profiles_still_load(
    tmp_path: Path, text: str, expected: list[str]
):
    catalogue = _load(tmp_path, mine=text, own=OWN)

    (problem,) = catalogue.problems
    assert str(problem).startswith("mine.yaml: ")
    for part in expected:
        assert part in str(problem)
    assert "my-vllm" in catalogue.profiles
    assert {i: p for i, p in catalogue.profiles.items() if i != "my-vllm"} == SHIPPED.profiles


def test_a_secret_in_the_wrong_field_is_not_repeated_in_the_problem(tmp_path: Path):
    catalogue = _load(
        tmp_path,
        key=f"{OWN}\n".replace("MY_KEY", "sk-very-secret"),
        extra=f"{OWN}\napi_key: sk-secret-too\n",
        url=f"{OWN}\n".replace("http://127", "http://me:secret-word@127"),
    )

    assert len(catalogue.problems) == 3
    expected = " ".join(map(str, catalogue.problems))
    assert "api_key_env" in expected
    assert "base_url" in expected
    assert "secret" not in expected


def test_an_unreadable_file_is_reported_and_other_profiles_still_load(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00id")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")

    catalogue = _load(tmp_path, own=OWN)

    assert sorted(str(p).partition(":")[0] for p in catalogue.problems) == [
        "binary.yaml",
        "dangling.yaml",
        "folder.yaml",
    ]
    assert "my-vllm" in catalogue.profiles


def test_yml_files_are_loaded_too_and_other_files_are_ignored(tmp_path: Path):
    (tmp_path / "own.yml").write_text(OWN, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("id: nothing", encoding="utf-8")

    catalogue = load_catalogue(tmp_path)

    assert "my-vllm" in catalogue.profiles
    assert catalogue.problems == ()


def test_two_files_for_one_profile_are_merged_in_the_order_of_their_names(tmp_path: Path):
    catalogue = _load(tmp_path, a="id: qwen3-14b\ncontext_tokens: 1000\nname: A\n", b="id: qwen3-14b\nname: B\n")

    assert (catalogue.profiles["qwen3-14b"].context_tokens, catalogue.profiles["qwen3-14b"].name) == (1000, "B")


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path):
    path = tmp_path / "profiles"
    path.write_text("id: qwen3-14b\n")

    catalogue = load_catalogue(path)

    (problem,) = catalogue.problems
    assert str(problem) == f"{path}: is not a folder. Replace it with a folder of profiles, or remove it."
    assert catalogue.not_in_force == "profiles/ is not in force: it is not a folder; `chargehand doctor` says more."
