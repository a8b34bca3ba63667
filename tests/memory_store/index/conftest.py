"""Index keepers over a ledger, and the shared helper modules."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.keeper import IndexKeeper

for _name in ("ledger_rows", "index_rows"):
    if _name not in sys.modules:
        _folder = Path(__file__).parent if _name == "index_rows" else Path(__file__).parent.parent
        _spec = importlib.util.spec_from_file_location(_name, _folder / f"{_name}.py")
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from index_rows import EMBEDDER  # noqa: E402 - made importable above


@pytest.fixture
def root(home: Path) -> Path:
    return home / "index"


@pytest.fixture
def open_keeper(ledger, root: Path) -> Callable[..., Any]:
    """Opens and starts a keeper: `async with open_keeper() as keeper`. on_ledger: None means the fixture `ledger`."""

    @asynccontextmanager
    async def started_keeper(*, storage: Any = None, on_ledger: Any = None, embedder: str = EMBEDDER, **options: Any):
        keeper = IndexKeeper(on_ledger or ledger, embedder, storage or ChromaSlot(root, embedder), **options)
        try:
            async with anyio.create_task_group() as group:
                keeper.start(group)
                yield keeper
                group.cancel_scope.cancel()
        finally:
            await keeper.aclose()

    return started_keeper
