"""What checks missed: answers that passed and that the user rejected."""

import pytest
from ledger_rows import delegate
from portable_rows import ROW, lines_file, take

from chargehand.memory_store.missed import Missed, read_missed

pytestmark = pytest.mark.anyio


async def test_a_rejected_answer_that_passed_was_missed_and_a_failed_one_was_caught(ledger):
    await delegate(ledger, "t1", ("m", True), words=("rejected",))
    await delegate(ledger, "t2", ("m", True), words=("accepted",))
    await delegate(ledger, "t3", ("m", True))
    await delegate(ledger, "t4", ("m", False), ("n", True))
    await delegate(ledger, "t5", ("m", False), ("m", True))

    assert await read_missed(ledger) == Missed(rejected=1, failed=1)


async def test_a_bad_word_outweighs_a_good_one_and_a_failed_answer_that_is_rejected_was_caught(ledger):
    await delegate(ledger, "t1", ("m", True), words=("accepted", "tests_failed"))
    await delegate(ledger, "t2", ("m", False), status="failed", words=("rejected",))

    assert await read_missed(ledger) == Missed(rejected=1, failed=1)


async def test_data_sets_say_nothing_of_the_users_checks(ledger, tmp_path):
    await take(ledger, lines_file(tmp_path, ROW))

    assert await read_missed(ledger) == Missed()


def test_one_rejection_is_no_rule_and_many_are():
    assert Missed().share == 0
    assert Missed(rejected=1).share < 0.1
    assert Missed(rejected=40, failed=30).share == 0.5
