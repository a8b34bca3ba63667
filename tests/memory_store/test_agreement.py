"""Whatever two hosts on one folder do in turns, ledger and index agree: what is remembered is found, no more."""

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from agreement_host import TEXTS, open_host
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.memory_store.ledger import LEDGER_FILE

WAIT_S = 30
HOST = Path(__file__).with_name("agreement_host.py")

a_name = st.sampled_from(sorted(TEXTS))
an_operation = st.one_of(
    st.tuples(st.just("record"), a_name),
    st.tuples(st.just("import"), a_name),
    st.tuples(st.just("forget"), a_name),
    st.tuples(st.just("prune"), st.integers(0, 3)),
    st.tuples(st.just("recall"), a_name),
)
operations_of_two = st.lists(st.tuples(st.integers(0, 1), an_operation), min_size=4, max_size=16)


@settings(max_examples=20)
@given(operations=operations_of_two)
def test_any_interleaving_of_two_hosts_leaves_ledger_and_index_in_agreement(operations):
    anyio.run(play, operations)


@settings(max_examples=8)
@given(operations=operations_of_two)
def test_any_interleaving_of_two_processes_does_so_too(processes, operations):
    with tempfile.TemporaryDirectory() as folder:
        for process in processes:
            ask(process, "open", folder)
        for who, (what, argument) in operations:
            ask(processes[who], what, argument)
        with closing(sqlite3.connect(Path(folder) / LEDGER_FILE)) as books:
            remembered = {text for (text,) in books.execute("SELECT text FROM remembered_tasks")}
        for process in processes:
            for name, text in TEXTS.items():
                assert ask(process, "finds", name) == (text in remembered), (name, operations)
            ask(process, "leave", None)


@pytest.fixture(scope="module")
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    """Two hosts, each in a process of its own, that are told a folder before anything else."""
    command = [sys.executable, str(HOST)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    yield started
    for process in started:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def ask(process: "subprocess.Popen[str]", what: str, argument: object) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([what, argument]) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


async def play(operations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hosts = [await open_host(home), await open_host(home)]
        try:
            async with anyio.create_task_group() as group:
                for one in hosts:
                    one.keeper.start(group)
                for who, (what, argument) in operations:
                    await hosts[who].do(what, argument)
                remembered = {text for (text,) in await hosts[0].ledger.rows("SELECT text FROM remembered_tasks")}
                for one in hosts:
                    for name, text in TEXTS.items():
                        assert await one.finds(name) == (text in remembered), (name, operations)
                group.cancel_scope.cancel()
        finally:
            for one in hosts:
                await one.keeper.aclose()
                await one.ledger.aclose()
