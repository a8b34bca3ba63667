"""After any operations of two hosts on one folder, ledger and index agree: exactly the remembered tasks are found."""

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

WAIT_S = 60
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
    anyio.run(run_operations, operations)


@settings(max_examples=8)
@given(operations=operations_of_two)
def test_any_interleaving_of_two_processes_leaves_ledger_and_index_in_agreement(processes, operations):
    with tempfile.TemporaryDirectory() as folder:
        for process in processes:
            request(process, "open", folder)
        for host_number, (operation, argument) in operations:
            request(processes[host_number], operation, argument)
        with closing(sqlite3.connect(Path(folder) / LEDGER_FILE)) as db:
            remembered = {text for (text,) in db.execute("SELECT text FROM remembered_tasks")}
        for process in processes:
            for name, text in TEXTS.items():
                assert request(process, "finds", name) == (text in remembered), (name, operations)
            request(process, "leave", None)


@pytest.fixture(scope="module")
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    """Two hosts, each in its own process; each must be sent `open` first."""
    command = [sys.executable, str(HOST)]
    hosts = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    yield hosts
    for process in hosts:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def request(process: "subprocess.Popen[str]", operation: str, argument: object) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([operation, argument]) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


async def run_operations(operations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hosts = [await open_host(home), await open_host(home)]
        try:
            async with anyio.create_task_group() as group:
                for host in hosts:
                    host.keeper.start(group)
                for host_number, (operation, argument) in operations:
                    await hosts[host_number].do(operation, argument)
                remembered = {text for (text,) in await hosts[0].ledger.rows("SELECT text FROM remembered_tasks")}
                for host in hosts:
                    for name, text in TEXTS.items():
                        assert await host.finds(name) == (text in remembered), (name, operations)
                group.cancel_scope.cancel()
        finally:
            for host in hosts:
                await host.keeper.aclose()
                await host.ledger.aclose()
