"""A Chroma server of the user's, shared by several processes, run here on 127.0.0.1."""

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
from index_rows import EMBEDDER, found, remember, until, vectors

from chargehand.memory_store.index.chroma_server import ChromaServer, collection_name
from chargehand.memory_store.index.errors import IndexUnavailable
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

WAIT_S = 30


def _free_port() -> int:
    with closing(socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def _running(folder: Path, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    # What `chroma run` calls, without the second that it takes to import all of Chroma.
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


async def test_it_finds_what_the_ledger_holds_and_what_comes_later(ledger, storage, open_keeper):
    some = vectors(700)
    ids = await remember(ledger, some[:600])

    async with open_keeper(storage=storage()) as keeper:
        await until(keeper, "ready")
        ids += await remember(ledger, some[600:], prefix="late")
        assert await found(keeper, some[::10]) == ids[::10]
        assert keeper.state.phase == "ready"


async def test_two_that_share_it_find_each_others_rows(ledger, home: Path, clock, storage, open_keeper):
    some = vectors(40)
    ids = await remember(ledger, some[:30])
    other = await Ledger.open(home, clock)

    async with open_keeper(storage=storage()) as one, open_keeper(storage=storage(), over=other) as two:
        await until(one, "ready")
        await until(two, "ready")
        ids += await remember(other, some[30:], prefix="late")
        assert await found(one, some) == ids
        assert await found(two, some) == ids
    await other.aclose()


async def test_ledgers_that_share_it_do_not_see_each_other(ledger, url: str, tmp_path, clock, open_keeper):
    other = await Ledger.open(tmp_path / "other", clock)
    ours = await remember(ledger, vectors(20), prefix="ours")
    theirs = await remember(other, vectors(20, seed=1), prefix="theirs")

    async with (
        open_keeper(storage=ChromaServer(url, ledger, EMBEDDER)) as one,
        open_keeper(storage=ChromaServer(url, other, EMBEDDER), over=other) as two,
    ):
        await until(one, "ready")
        await until(two, "ready")
        assert await found(one, vectors(20)) == ours
        assert await found(two, vectors(20, seed=1)) == theirs
    await other.aclose()


async def test_what_was_forgotten_is_removed_from_it(ledger, storage, open_keeper):
    await remember(ledger, vectors(20))
    async with open_keeper(storage=storage()) as keeper:
        await until(keeper, "ready")
        await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 't4'"))
        near = await keeper.nearest(vectors(20)[4], 20, patience_s=WAIT_S)
        left = storage()
        opened = await left.open()
        with anyio.fail_after(WAIT_S):
            while await opened.index.size() != 19:  # noqa: ASYNC110 - the background takes it out
                await anyio.sleep(0.01)
        await left.aclose()

    assert near is not None
    assert len(near) == 19


async def test_an_unreachable_server_is_named_with_a_remedy_and_used_when_it_comes(ledger, tmp_path: Path, open_keeper):
    some = vectors(30)
    ids = await remember(ledger, some)
    port = _free_port()
    storage = ChromaServer(f"http://127.0.0.1:{port}", ledger, EMBEDDER)

    async with open_keeper(storage=storage, retry_after_s=0.1) as keeper:
        await until(keeper, "unavailable")
        text = keeper.state.as_text()
        meanwhile = await found(keeper, some)
        with _running(tmp_path / "chroma", port):
            await until(keeper, "ready")
            assert await found(keeper, some) == ids
        gone = await found(keeper, some)
        await until(keeper, "unavailable")
        with _running(tmp_path / "emptied", port):
            await until(keeper, "ready")
            assert await found(keeper, some) == ids

    assert meanwhile == gone == ids
    assert f"127.0.0.1:{port}" in text
    assert "chroma run" in text


async def test_a_deleted_index_folder_leaves_no_orphan_on_it(ledger, home: Path, url, clock, open_keeper):
    some = vectors(40)
    await remember(ledger, some)
    async with open_keeper(storage=ChromaServer(url, ledger, EMBEDDER)) as keeper:
        await until(keeper, "ready")
    shutil.rmtree(home / "index", ignore_errors=True)
    again = await Ledger.open(home, clock)

    storage = ChromaServer(url, again, EMBEDDER)
    opened = await storage.open()
    left = await opened.index.size()
    await storage.aclose()
    await again.aclose()

    assert left == 40


async def test_no_proxy_stands_between(ledger, storage, open_keeper, monkeypatch: pytest.MonkeyPatch):
    dead = f"http://127.0.0.1:{_free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    some = vectors(20)
    ids = await remember(ledger, some)

    async with open_keeper(storage=storage()) as keeper:
        await until(keeper, "ready")
        assert await found(keeper, some) == ids


async def test_closed_it_leaves_no_connection_open(ledger, storage):
    one = storage()
    opened = await one.open()
    assert await opened.index.size() == 0
    await one.aclose()
    del one, opened

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()

    assert [str(one.message) for one in warned if issubclass(one.category, ResourceWarning)] == []


async def test_a_check_tells_whether_it_answers_and_changes_nothing(url: str, ledger, storage):
    server = storage()
    await server.check()
    await server.aclose()

    with closing(socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(IndexUnavailable, match=rf"{address} cannot be used \(no answer in 0.2 s\). Start it with"):
            await ChromaServer(address, ledger, EMBEDDER).check(limit_s=0.2)


async def test_it_is_reached_by_an_address_of_ipv6(ledger, tmp_path: Path):
    try:
        with closing(socket(AF_INET6)) as one:
            one.bind(("::1", 0))
            port = one.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no ::1")
    with _running(tmp_path / "chroma", port, "::1"):
        server = ChromaServer(f"http://[::1]:{port}", ledger, EMBEDDER)

        opened = await server.open()

        assert await opened.index.size() == 0
        await server.aclose()


async def test_a_collection_is_named_for_its_ledger_and_embedder(ledger, tmp_path: Path, clock):
    other = await Ledger.open(tmp_path / "other", clock)
    ours, theirs = await ledger.identity(), await other.identity()
    await other.aclose()
    one = collection_name(ours, "ollama:nomic-embed-text@sha")

    assert one.startswith(f"chargehand-{ours}-ollama-nomic-embed-text-sha-")
    assert len({one, collection_name(ours, "ollama:nomic-embed-text"), collection_name(theirs, "x")}) == 3


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", ""])
async def test_what_is_no_url_is_refused_with_an_example(url: str, ledger):
    with pytest.raises(ValueError, match="CHARGEHAND_CHROMA_URL must be like http://127"):
        ChromaServer(url, ledger, EMBEDDER)
