"""Answers that passed their checks and that the user rejected."""

import pytest
from ledger_rows import delegate
from portable_rows import ROW, import_file, lines_file

from chargehand.memory_store.missed import Missed, read_missed

pytestmark = pytest.mark.anyio


async def test_rejected_answers_that_passed_are_missed_and_failed_checks_are_caught(ledger):
    await delegate(ledger, "t1", ("m", True), reported=("rejected",))
    await delegate(ledger, "t2", ("m", True), reported=("accepted",))
    await delegate(ledger, "t3", ("m", True))
    await delegate(ledger, "t4", ("m", False), ("n", True))
    await delegate(ledger, "t5", ("m", False), ("m", True))

    assert await read_missed(ledger) == Missed(rejected=1, failed=1)


async def test_a_later_bad_report_means_missed_and_rejected_failures_count_as_caught(ledger):
    await delegate(ledger, "t1", ("m", True), reported=("accepted", "tests_failed"))
    await delegate(ledger, "t2", ("m", False), status="failed", reported=("rejected",))

    assert await read_missed(ledger) == Missed(rejected=1, failed=1)


async def test_imported_data_sets_do_not_count_towards_missed_answers(ledger, tmp_path):
    await import_file(ledger, lines_file(tmp_path, ROW))

    assert await read_missed(ledger) == Missed()


def test_the_missed_share_stays_low_for_one_rejection_and_grows_with_many():
    assert Missed().share == 0
    assert Missed(rejected=1).share < 0.1
    assert Missed(rejected=40, failed=30).share == 0.5
