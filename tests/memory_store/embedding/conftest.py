"""The pairs of reworded tasks."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("rewordings", Path(__file__).with_name("rewordings.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture
def rewordings() -> tuple[tuple[str, str], ...]:
    return _module.REWORDED
