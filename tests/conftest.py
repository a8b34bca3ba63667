"""Shared by all tests: asyncio under anyio, and an environment free of the developer's own settings."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# Python may write bytecode caches, whatever the environment says: otherwise each of a thousand processes, and each run
# of pytest in a sandbox, compiles everything it imports. The workers of pytest-xdist inherit this.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell's background job ignores Ctrl-C and one of `nohup` the end of its terminal, and so would the processes that
# tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples on every machine, and no deadline: slowness on a busy machine says nothing about the code.
settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

collect_ignore = ["live"]  # asks real vendors, so it is run only by its name: `uv run pytest tests/live`


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--over",
        choices=("memory", "stdio", "http"),
        default="memory",
        help="how the tests of the server reach it: within the process, as a child process, or over HTTP",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "in_process(reason): reaches into the server, so there is no `--over` for it")
    config.addinivalue_line("markers", "both_eras: is run in both eras of the protocol; every test with `era` has it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Over a transport, run only the tests that use a client: the others would just run a second time."""
    for item in items:
        if "era" in getattr(item, "fixturenames", ()):
            item.add_marker("both_eras")
    if config.getoption("--over") == "memory":
        return
    deselected = [item for item in items if "connect" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]
    for item in items:
        if (marker := item.get_closest_marker("in_process")) is not None:
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Each test has its own data folder, and no key or address of the developer's machine."""
    for name in (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_CUSTOM_HEADERS",
        "CEREBRAS_API_KEY",
        "CEREBRAS_BASE_URL",
        "CEREBRAS_CUSTOM_HEADERS",
        "OLLAMA_HOST",
        "OLLAMA_API_KEY",
        "OLLAMA_CUSTOM_HEADERS",
        "OLLAMA_NUM_PARALLEL",
        "CHARGEHAND_ROOTS",
        "CHARGEHAND_CONFIG",
        "CHARGEHAND_POLICY",
        "CHARGEHAND_LOCAL_ONLY",
        "CHARGEHAND_DAILY_BUDGET_USD",
        "CHARGEHAND_REVIEWS_PER_DAY",
        "CHARGEHAND_LOG_LEVEL",
        "CHARGEHAND_CHROMA_URL",
        "CHARGEHAND_EMBEDDER",
        "CHARGEHAND_HTTP_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHARGEHAND_HOME", str(tmp_path / "chargehand-home"))
