"""A Chroma server that several processes share; the tests run one on 127.0.0.1."""

import gc
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import AF_INET6, create_connection, socket

import anyio
import pytest
from index_rows import EMBEDDER, add_tasks, nearest_ids, vectors, wait_for_phase

from chargehand.memory_store.index.chroma_server import ChromaServer, collection_name
from chargehand.memory_store.index.errors import IndexUnavailable
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

WAIT_S = 60


def _free_port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _running(folder: Path, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    # This is what `chroma run` calls, without the second that importing all of Chroma takes.
    run = "import sys, chromadb_rust_bindings as chroma; chroma.cli(['chroma', 'run', *sys.argv[1:]])"
    command = [sys.executable, "-c", run, "--path", str(folder), "--host", host, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await_port(port, host)
            yield
        finally:
            server.kill()


def _await_port(port: int, host: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            create_connection((host, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the Chroma server does not come up"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = _free_port()
    with _running(tmp_path_factory.mktemp("chroma"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def storage(url: str, ledger: Ledger) -> Callable[[], ChromaServer]:
    return lambda: ChromaServer(url, ledger, EMBEDDER)


async def test_tasks_of_the_ledger_and_later_ones_are_found(ledger, storage, open_keeper):
    unit_vectors = vectors(700)
    ids = await add_tasks(ledger, unit_vectors[:600])

    async with open_keeper(storage=storage()) as keeper:
        await wait_for_phase(keeper, "ready")
        ids += await add_tasks(ledger, unit_vectors[600:], prefix="late")
        assert await nearest_ids(keeper, unit_vectors[::10]) == ids[::10]
        assert keeper.state.phase == "ready"


async def test_two_keepers_that_share_a_server_find_each_others_tasks(ledger, home: Path, clock, storage, open_keeper):
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors[:30])
    other = await Ledger.open(home, clock)

    async with open_keeper(storage=storage()) as first, open_keeper(storage=storage(), on_ledger=other) as second:
        await wait_for_phase(first, "ready")
        await wait_for_phase(second, "ready")
        ids += await add_tasks(other, unit_vectors[30:], prefix="late")
        assert await nearest_ids(first, unit_vectors) == ids
        assert await nearest_ids(second, unit_vectors) == ids
    await other.aclose()


async def test_different_ledgers_on_one_server_do_not_see_each_others_tasks(
    ledger, url: str, tmp_path, clock, open_keeper
):
    other = await Ledger.open(tmp_path / "other", clock)
    own_ids = await add_tasks(ledger, vectors(20), prefix="ours")
    other_ids = await add_tasks(other, vectors(20, seed=1), prefix="theirs")

    async with (
        open_keeper(storage=ChromaServer(url, ledger, EMBEDDER)) as first,
        open_keeper(storage=ChromaServer(url, other, EMBEDDER), on_ledger=other) as second,
    ):
        await wait_for_phase(first, "ready")
        await wait_for_phase(second, "ready")
        assert await nearest_ids(first, vectors(20)) == own_ids
        assert await nearest_ids(second, vectors(20, seed=1)) == other_ids
    await other.aclose()


async def test_a_removed_embedding_is_removed_from_the_server(ledger, storage, open_keeper):
    await add_tasks(ledger, vectors(20))
    async with open_keeper(storage=storage()) as keeper:
        await wait_for_phase(keeper, "ready")
        await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 't4'"))
        near = await keeper.nearest(vectors(20)[4], 20, patience_s=WAIT_S)
        remaining = storage()
        opened = await remaining.open()
        with anyio.fail_after(WAIT_S):
            while len(await opened.index.ids()) != 19:  # noqa: ASYNC110 - removed in the background
                await anyio.sleep(0.01)
        await remaining.aclose()

    assert near is not None
    assert len(near) == 19


async def test_an_unreachable_server_is_reported_with_a_remedy_and_used_once_it_is_up(
    ledger, tmp_path: Path, open_keeper
):
    unit_vectors = vectors(30)
    ids = await add_tasks(ledger, unit_vectors)
    port = _free_port()
    storage = ChromaServer(f"http://127.0.0.1:{port}", ledger, EMBEDDER)

    async with open_keeper(storage=storage, retry_after_s=0.1) as keeper:
        await wait_for_phase(keeper, "unavailable")
        text = keeper.state.as_text()
        meanwhile = await nearest_ids(keeper, unit_vectors)
        with _running(tmp_path / "chroma", port):
            await wait_for_phase(keeper, "ready")
            assert await nearest_ids(keeper, unit_vectors) == ids
        after_stop = await nearest_ids(keeper, unit_vectors)
        await wait_for_phase(keeper, "unavailable")
        with _running(tmp_path / "emptied", port):
            await wait_for_phase(keeper, "ready")
            assert await nearest_ids(keeper, unit_vectors) == ids

    assert meanwhile == after_stop == ids
    assert f"127.0.0.1:{port}" in text
    assert "chroma run" in text


async def test_the_servers_collection_is_reused_after_the_index_folder_is_deleted(
    ledger, home: Path, url, clock, open_keeper
):
    unit_vectors = vectors(40)
    await add_tasks(ledger, unit_vectors)
    async with open_keeper(storage=ChromaServer(url, ledger, EMBEDDER)) as keeper:
        await wait_for_phase(keeper, "ready")
    shutil.rmtree(home / "index", ignore_errors=True)
    reopened_ledger = await Ledger.open(home, clock)

    storage = ChromaServer(url, reopened_ledger, EMBEDDER)
    opened = await storage.open()
    remaining = len(await opened.index.ids())
    await storage.aclose()
    await reopened_ledger.aclose()

    assert remaining == 40


async def test_requests_to_the_server_ignore_proxy_variables(
    ledger, storage, open_keeper, monkeypatch: pytest.MonkeyPatch
):
    dead = f"http://127.0.0.1:{_free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    unit_vectors = vectors(20)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(storage=storage()) as keeper:
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors) == ids


async def test_closing_leaves_no_connection_open(ledger, storage):
    first = storage()
    opened = await first.open()
    assert await opened.index.ids() == frozenset()
    await first.aclose()
    del first, opened

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()

    assert [str(warning.message) for warning in warned if issubclass(warning.category, ResourceWarning)] == []


async def test_the_check_passes_on_a_live_server_and_times_out_on_an_unresponsive_one(url: str, ledger, storage):
    server = storage()
    await server.check()
    await server.aclose()

    with closing(socket()) as unresponsive:
        unresponsive.bind(("127.0.0.1", 0))
        unresponsive.listen()
        address = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        with pytest.raises(IndexUnavailable, match=rf"{address} cannot be used \(no answer in 0.2 s\). Start it with"):
            await ChromaServer(address, ledger, EMBEDDER).check(limit_s=0.2)


async def test_a_server_is_reached_at_an_ipv6_address(ledger, tmp_path: Path):
    try:
        with closing(socket(AF_INET6)) as probe:
            probe.bind(("::1", 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no ::1")
    with _running(tmp_path / "chroma", port, "::1"):
        server = ChromaServer(f"http://[::1]:{port}", ledger, EMBEDDER)

        opened = await server.open()

        assert await opened.index.ids() == frozenset()
        await server.aclose()


async def test_collections_are_named_after_their_ledger_and_embedder(ledger, tmp_path: Path, clock):
    other = await Ledger.open(tmp_path / "other", clock)
    own_ids, other_ids = await ledger.identity(), await other.identity()
    await other.aclose()
    first = collection_name(own_ids, "ollama:nomic-embed-text@sha")

    assert first.startswith(f"chargehand-{own_ids}-ollama-nomic-embed-text-sha-")
    assert len({first, collection_name(own_ids, "ollama:nomic-embed-text"), collection_name(other_ids, "x")}) == 3


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", ""])
async def test_an_invalid_url_is_refused_with_an_example(url: str, ledger):
    with pytest.raises(ValueError, match="CHARGEHAND_CHROMA_URL must be like http://127"):
        ChromaServer(url, ledger, EMBEDDER)
