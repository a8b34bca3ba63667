"""Sources and precedence of settings, and the errors for invalid ones."""

import logging
import os
from pathlib import Path

import pytest

from chargehand.server.config_tables import PrivacySettings, UsageSettings
from chargehand.server.settings import (
    BadSetting,
    Settings,
    facts_of_fields,
    load_settings,
    variable_of,
)

EVERY_VARIABLE = {
    "CHARGEHAND_HOME": ("home", "/data", Path("/data")),
    "CHARGEHAND_ROOTS": ("roots", f"/a{os.pathsep}{os.pathsep}/b c", ("/a", "/b c")),
    "CHARGEHAND_POLICY": ("policy", "frugal", "frugal"),
    "CHARGEHAND_LOCAL_ONLY": ("local_only", "true", True),
    "CHARGEHAND_DAILY_BUDGET_USD": ("daily_budget_usd", "0.25", 0.25),
    "CHARGEHAND_REVIEWS_PER_DAY": ("reviews_per_day", "3", 3),
    "CHARGEHAND_LOG_LEVEL": ("log_level", "debug", "DEBUG"),
    "CHARGEHAND_EMBEDDER": ("embedder", "ollama:nomic-embed-text", "ollama:nomic-embed-text"),
    "CHARGEHAND_CHROMA_URL": ("chroma_url", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    "CHARGEHAND_RESULTS": ("results", "text", "text"),
    "OLLAMA_HOST": ("ollama_host", "box:11434", "box:11434"),
    "OLLAMA_CUSTOM_HEADERS": ("ollama_custom_headers", "a: b", "a: b"),
    "OLLAMA_NUM_PARALLEL": ("ollama_num_parallel", "4", 4),
    "ANTHROPIC_API_KEY": ("anthropic_api_key", "sk-ant-1", "sk-ant-1"),
    "ANTHROPIC_CUSTOM_HEADERS": ("anthropic_custom_headers", "a: b\nc: d", "a: b\nc: d"),
    "CEREBRAS_CUSTOM_HEADERS": ("cerebras_custom_headers", "a: b", "a: b"),
    "ANTHROPIC_BASE_URL": ("anthropic_base_url", "http://127.0.0.1:1", "http://127.0.0.1:1"),
    "CEREBRAS_API_KEY": ("cerebras_api_key", "csk-1", "csk-1"),
    "CHARGEHAND_HTTP_TOKEN": ("http_token", "tok-1", "tok-1"),
    "CEREBRAS_BASE_URL": ("cerebras_base_url", "http://127.0.0.1:2", "http://127.0.0.1:2"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def _load(home: Path, **environment: str) -> Settings:
    return load_settings({"CHARGEHAND_HOME": str(home), **environment})


def _write(home: Path, text: str) -> Path:
    file = home / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _plain(value: object) -> object:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _problem(home: Path, **environment: str) -> str:
    with pytest.raises(BadSetting) as bad:
        _load(home, **environment)
    return str(bad.value)


def test_with_nothing_set_every_setting_has_its_default(home: Path):
    assert _load(home) == Settings(home=home)
    assert _load(home).model_dump(exclude={"home"}) == {
        "config": None,
        "roots": (),
        "policy": "balanced",
        "local_only": False,
        "daily_budget_usd": 5.0,
        "reviews_per_day": 20,
        "embedder": "lexical",
        "chroma_url": None,
        "log_level": "WARNING",
        "results": "structured",
        "ollama_host": "http://127.0.0.1:11434",
        "ollama_custom_headers": None,
        "ollama_num_parallel": 1,
        "anthropic_api_key": None,
        "anthropic_base_url": "https://api.anthropic.com",
        "anthropic_custom_headers": None,
        "cerebras_api_key": None,
        "http_token": None,
        "cerebras_base_url": "https://api.cerebras.ai",
        "cerebras_custom_headers": None,
        "privacy": {"local_hosts": frozenset(), "local_only": (), "secrets": {}, "on_secret": "local"},
        "usage": {"baseline_model": None},
        "budget": {"ask_above_usd": None},
        "memory": {"text": "full"},
        "sandbox": {"backend": "auto", "image": "python:3.13-slim", "python": None, "variables": {}},
        "http": {
            "calls_per_minute": {
                "route_task": 600,
                "delegate_generation": 60,
                "validate_code": 120,
                "strategic_review": 10,
                "report_outcome": 600,
            },
            "calls_at_once": {
                "route_task": 64,
                "delegate_generation": 16,
                "validate_code": 16,
                "strategic_review": 2,
                "report_outcome": 64,
            },
        },
        "apply": {"allow": ()},
        "checks": {},
    }


def test_without_chargehand_home_the_platforms_data_folder_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    home = load_settings({}).home
    assert home.is_absolute()
    assert home.name == "chargehand"
    assert home.is_relative_to(tmp_path)


@pytest.mark.parametrize("variable", EVERY_VARIABLE)
def test_each_variable_sets_its_setting(home: Path, variable: str):
    field, text, value = EVERY_VARIABLE[variable]

    assert _plain(getattr(_load(home, **{variable: text}), field)) == value


def test_the_table_of_variables_above_is_complete():
    assert set(facts_of_fields()) == {*EVERY_VARIABLE, "CHARGEHAND_CONFIG"}
    without = {field for field in Settings.model_fields if variable_of(field) is None}
    assert without == {"privacy", "usage", "budget", "memory", "sandbox", "http", "apply", "checks"}


def test_every_variable_has_a_description():
    assert all(meaning.endswith(".") for meaning, _ in facts_of_fields().values())
    assert facts_of_fields()["CHARGEHAND_DAILY_BUDGET_USD"][1] == 5.0


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_variable_counts_as_unset(home: Path, blank: str):
    _write(home, "reviews_per_day = 7")
    empty = dict.fromkeys(facts_of_fields(), blank) | {"CHARGEHAND_HOME": str(home)}

    assert load_settings(empty) == Settings(home=home, reviews_per_day=7)
    assert load_settings({"CHARGEHAND_HOME": blank}).home == load_settings({}).home


def test_whitespace_around_a_value_is_stripped(home: Path):
    assert _plain(_load(home, ANTHROPIC_API_KEY=" sk-ant-1\n").anthropic_api_key) == "sk-ant-1"


def test_the_environment_overrides_the_file_and_the_file_overrides_the_default(home: Path):
    _write(home, 'reviews_per_day = 7\ndaily_budget_usd = 1.5\nollama_host = "file:1"')

    settings = _load(home, CHARGEHAND_REVIEWS_PER_DAY="9")

    assert (settings.reviews_per_day, settings.daily_budget_usd, settings.log_level) == (9, 1.5, "WARNING")
    assert settings.ollama_host == "file:1"


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_REVIEWS_PER_DAY", "4")

    assert load_settings().reviews_per_day == 4


def test_settings_other_than_keys_and_locations_can_come_from_the_file(home: Path):
    _write(
        home,
        """
        roots = ["/a", "/b"]
        policy = "reference"
        local_only = true
        daily_budget_usd = "none"
        reviews_per_day = 1
        log_level = "info"
        ollama_host = "box:1"
        anthropic_base_url = "http://127.0.0.1:1"
        cerebras_base_url = "http://127.0.0.1:2"
        [privacy]
        local_hosts = ["gpu-box.lan"]
        [usage]
        baseline_model = "sonnet"
        """,
    )

    assert _load(home) == Settings(
        home=home,
        roots=("/a", "/b"),
        policy="reference",
        local_only=True,
        daily_budget_usd=None,
        reviews_per_day=1,
        log_level="INFO",
        ollama_host="box:1",
        anthropic_base_url="http://127.0.0.1:1",
        cerebras_base_url="http://127.0.0.1:2",
        privacy=PrivacySettings(local_hosts=frozenset({"gpu-box.lan"})),
        usage=UsageSettings(baseline_model="sonnet"),
    )


def test_chargehand_config_replaces_the_config_file_of_the_data_folder(home: Path, tmp_path: Path):
    _write(home, "reviews_per_day = 1")
    (tmp_path / "mine.toml").write_text("\ufeffreviews_per_day = 2", encoding="utf-8")

    settings = _load(home, CHARGEHAND_CONFIG=str(tmp_path / "mine.toml"))

    assert settings.reviews_per_day == 2
    assert settings.config == tmp_path / "mine.toml"


def test_a_tilde_in_a_path_variable_is_expanded(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _write(home, "reviews_per_day = 3")

    settings = load_settings({"CHARGEHAND_HOME": "~/home", "CHARGEHAND_CONFIG": "~/home/config.toml"})

    assert (settings.home, settings.config, settings.reviews_per_day) == (home, home / "config.toml", 3)


@pytest.mark.parametrize(("text", "cap"), [("none", None), ("None", None), ("0", 0.0), ("12.5", 12.5)])
def test_a_budget_is_a_number_or_none(home: Path, text: str, cap: float | None):
    assert _load(home, CHARGEHAND_DAILY_BUDGET_USD=text).daily_budget_usd == cap


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHARGEHAND_DAILY_BUDGET_USD", "-1"),
        ("CHARGEHAND_DAILY_BUDGET_USD", "nan"),
        ("CHARGEHAND_DAILY_BUDGET_USD", "inf"),
        ("CHARGEHAND_DAILY_BUDGET_USD", "five"),
        ("CHARGEHAND_REVIEWS_PER_DAY", "-1"),
        ("CHARGEHAND_REVIEWS_PER_DAY", "1.5"),
        ("CHARGEHAND_LOCAL_ONLY", "perhaps"),
        ("CHARGEHAND_LOG_LEVEL", "LOUD"),
        ("CHARGEHAND_POLICY", "cheapest"),
        ("CHARGEHAND_HOME", "~nobody-of-that-name/x"),
        ("CHARGEHAND_CONFIG", "~nobody-of-that-name/x"),
    ],
)
def test_an_invalid_value_is_reported_with_its_variable_and_the_remedy(home: Path, variable: str, value: str):
    problem = _problem(home, **{variable: value})

    assert problem.startswith(f"{variable}: ")
    assert f", got {value!r}" in problem or "LOUD" in problem
    assert problem.endswith(
        '. Correct it in the "env" block of your host\'s MCP config, or in your shell for a command there.'
    )


def test_all_invalid_values_are_reported_at_once(home: Path):
    problem = _problem(home, CHARGEHAND_LOCAL_ONLY="perhaps", CHARGEHAND_REVIEWS_PER_DAY="many")

    assert [line.partition(":")[0] for line in problem.split("\n")] == [
        "CHARGEHAND_LOCAL_ONLY",
        "CHARGEHAND_REVIEWS_PER_DAY",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("daily_budget_usd = -1", "daily_budget_usd: Input should be greater than or equal to 0, got -1"),
        ("[privacy]\nlocal_hosts = 5", "privacy.local_hosts: "),
        ("[privacy]\nlocal_host = ['a']", "privacy.local_host: "),
        ("[usage]\nbaseline = 'x'", "usage.baseline: "),
        ("usage = 'x'", "usage: "),
        ("[sandbox]\nbackend = 'none'", "sandbox.backend: "),
        ("[sandbox]\npython = '/no/python'", "sandbox.python: "),
        ("[sandbox]\npython = 'python3'", "sandbox.python: "),
        ("[sandbox.variables]\n'A=B' = 'x'", "sandbox.variables.A=B"),
        ("[checks.unit]\ncommand = []\nanswer_path = 'a.py'", "checks.unit.command: "),
        ("[checks.unit]\ncommand = ['true']\nanswer_path = '../a.py'", "checks.unit.answer_path: "),
        ("[checks.unit]\ncommand = ['true']\nanswer_path = '/a.py'", "checks.unit.answer_path: "),
        ("[checks.unit]\ncommand = ['true']\nanswer_path = 'a.py'\nread_only = ['/']", "checks.unit.read_only: "),
        ("[checks.unit]\ncommand = ['true']\nanswer_path = 'a.py'\nread_only = ['/none']", "checks.unit.read_only: "),
        ("[checks.unit]\ncommand = ['true']\nanswer_path = 'a.py'\ntimeout_s = 0", "checks.unit.timeout_s: "),
        ("[checks.tests]\ncommand = ['true']\nanswer_path = 'a.py'", "checks: "),
        ("[checks.'a b']\ncommand = ['true']\nanswer_path = 'a.py'", "checks: "),
        ("roots = 5", "roots: "),
        ("roots = [5]", "roots.0: "),
    ],
)
def test_an_invalid_value_in_the_file_is_reported_with_file_key_and_remedy(home: Path, text: str, place: str):
    file = _write(home, text)

    problem = _problem(home)

    assert problem.startswith(f"{file}: {place}")
    assert problem.endswith(". Correct it there.")


def test_an_invalid_value_in_the_file_is_ignored_if_the_environment_overrides_it(home: Path):
    _write(home, "daily_budget_usd = -1")

    assert _load(home, CHARGEHAND_DAILY_BUDGET_USD="2").daily_budget_usd == 2.0


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("daily_budget", " Did you mean daily_budget_usd?"),
        ("CHARGEHAND_LOCAL_ONLY", " Did you mean local_only?"),
        ("OLLAMA_HOST", " Did you mean ollama_host?"),
        ("xyz", ""),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_a_suggestion(home: Path, key: str, suggestion: str):
    file = _write(home, f"{key} = 1")

    assert _problem(home).startswith(f"{file}: {key} is not a setting.{suggestion} It takes: roots, policy, ")


@pytest.mark.parametrize("key", ["anthropic_api_key", "cerebras_api_key", "http_token"])
def test_an_api_key_in_the_file_is_refused_and_not_repeated(home: Path, key: str):
    file = _write(home, f'{key} = "sk-very-secret"')

    assert _problem(home) == f"{file}: {key} cannot be set in a file. Set the variable {variable_of(key)} instead."


@pytest.mark.parametrize("key", ["home", "config"])
def test_the_file_cannot_set_its_own_location(home: Path, key: str):
    _write(home, f'{key} = "/elsewhere"')

    assert f"Set the variable CHARGEHAND_{key.upper()} instead." in _problem(home)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"roots = [", "it is not TOML: "),
        (b"a = 1\na = 2", "it is not TOML: "),
        (b"roots = ['caf\xe9']", "it is not UTF-8 text. Save it as UTF-8."),
        (b"\xff\xfer\x00", "it is not UTF-8 text. Save it as UTF-8."),
    ],
)
def test_a_config_file_that_is_not_utf8_toml_is_named(home: Path, data: bytes, message: str):
    (home / "config.toml").write_bytes(data)

    assert _problem(home).startswith(f"{home / 'config.toml'}: {message}")


def test_a_toml_syntax_error_is_reported_with_its_line(home: Path):
    _write(home, "local_only = true\nroots = nothing\n")

    assert "line 2" in _problem(home)


def test_a_missing_config_file_is_reported_with_the_remedy(home: Path, tmp_path: Path):
    (home / "config.toml").symlink_to(tmp_path / "gone.toml")
    missing = tmp_path / "missing.toml"

    assert _problem(home, CHARGEHAND_CONFIG=str(missing)) == (
        f"{missing}: the config file does not exist, or is not a file. Create it, or unset CHARGEHAND_CONFIG."
    )
    assert _problem(home) == (
        f"{home / 'config.toml'}: the config file does not exist, or is not a file."
        " Replace it with a file, or remove it."
    )


def test_a_folder_or_fifo_as_config_file_is_refused_without_blocking(home: Path, tmp_path: Path):
    os.mkfifo(home / "config.toml")

    assert "is not a file" in _problem(home)
    assert "is not a file" in _problem(home, CHARGEHAND_CONFIG=str(tmp_path))


def test_keys_never_appear_in_printed_settings(home: Path):
    settings = _load(home, ANTHROPIC_API_KEY="sk-very-secret", CEREBRAS_API_KEY="sk-very-secret")

    printed = [repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()]
    assert not any("sk-very-secret" in text for text in printed)


def test_the_error_for_another_variable_does_not_disclose_a_key(home: Path):
    with pytest.raises(BadSetting) as bad:
        _load(home, ANTHROPIC_API_KEY="sk-very-secret", CHARGEHAND_LOCAL_ONLY="perhaps")

    assert "sk-very-secret" not in f"{bad.value!r} {bad.value.__cause__}"


def test_an_unknown_chargehand_variable_logs_a_warning_with_a_suggestion(home: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="chargehand"):
        _load(home, CHARGEHAND_LOCALONLY="true-and-secret")

    (record,) = caplog.records
    assert record.getMessage() == (
        "CHARGEHAND_LOCALONLY is not a setting and has no effect. Did you mean CHARGEHAND_LOCAL_ONLY?"
    )


@pytest.mark.parametrize("variable", ["CHARGEHAND_ROOTS", "ANTHROPIC_API_KEY", "OLLAMA_HOST"])
def test_a_placeholder_left_by_a_host_counts_as_unset_and_logs_a_warning(
    home: Path, caplog: pytest.LogCaptureFixture, variable: str
):
    with caplog.at_level(logging.WARNING, logger="chargehand"):
        settings = _load(home, **{variable: "${user_config.of_mine}"})

    assert settings == Settings(home=home)
    assert [record.getMessage() for record in caplog.records] == [
        f"{variable} is treated as unset: your host did not fill in its value, ${{user_config.of_mine}}."
    ]


def test_settings_are_immutable(home: Path):
    settings = _load(home)

    with pytest.raises(ValueError, match="frozen"):
        settings.local_only = True


def test_a_limit_for_one_tool_leaves_the_others_unchanged(home: Path):
    _write(home, "[http.calls_per_minute]\nstrategic_review = 3\n")

    limits = _load(home).http.calls_per_minute

    assert (limits["strategic_review"], limits["route_task"]) == (3, 600)


def test_a_limit_for_an_unknown_tool_is_refused(home: Path):
    file = _write(home, "[http.calls_at_once]\nreview = 3\n")

    assert _problem(home).startswith(
        f"{file}: http.calls_at_once: Value error, 'review' is not a tool; the tools are route_task"
    )
