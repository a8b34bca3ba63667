"""delegate_generation as a host sees it: routing, generation, checks, repair, escalation and accounting."""

import json
from pathlib import Path

import anyio
import pytest
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, STILL_WRONG, TESTS, WRONG
from running_server import OpenServer, Script, fenced, text_of
from starlette.requests import Request
from starlette.responses import Response

from chargehand.evaluation.peers.ollama import OllamaModel, OllamaPeer
from chargehand.evaluation.peers.reply import Cut, HttpFault, Reply, Stall
from chargehand.evaluation.peers.vendors import QWEN
from chargehand.server.cli import own_services

pytestmark = pytest.mark.anyio

LOCAL, FAST, ECONOMY, VALIDATOR, DIRECTOR = (
    "qwen3:30b-a3b", "gpt-oss-120b", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5",
)  # fmt: skip


async def test_an_answer_that_passes_its_tests_succeeds(open_server: OpenServer, era: str):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script, era=era) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert receipt["model"] == "qwen3-30b-a3b"
    assert receipt["code"] == "def double(count):\n    return 2 * count\n"
    assert receipt["verified_by"] == ["parse", "lint", "tests"]
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["passed"]
    assert receipt["cost_usd"] == 0
    assert receipt["saved_usd"]["baseline_model"] == "claude-sonnet-5-5"
    assert receipt["saved_usd"]["amount"] > 0
    assert [(e["host"], e["requests"]) for e in receipt["egress"]] == [("127.0.0.1", 1)]


async def test_the_receipt_sums_the_bytes_sent_to_each_host(open_server: OpenServer):
    async with open_server(Script({LOCAL: [WRONG, RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    sizes = [int(exchange.headers["content-length"]) for exchange in server.vendors.ollama.journal.to("/api/chat")]
    assert len(sizes) == 2
    assert [(e["host"], e["bytes"]) for e in receipt["egress"]] == [("127.0.0.1", sum(sizes))]


async def test_an_answer_without_tests_is_reported_as_unverified(open_server: OpenServer):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        result = await server.client.call_tool("delegate_generation", {"task": RENAME})

    receipt = result.structured_content
    assert receipt["status"] == "unverified"
    assert receipt["verified_by"] == ["parse", "lint"]
    assert "saved_usd" not in receipt
    assert "Unverified: nothing was executed" in text_of(result)
    assert "`tests` or `checks` would verify it." in text_of(result)
    assert "def double(count)" in text_of(result)


async def test_a_failed_check_is_sent_to_the_same_model_for_repair(open_server: OpenServer):
    script = Script({LOCAL: [WRONG, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert [(a["model"], a["outcome"]) for a in receipt["attempts"]] == [
        ("qwen3-30b-a3b", "failed_check"),
        ("qwen3-30b-a3b", "passed"),
    ]
    repair = script.asked[1]
    assert [role for role, _ in repair.messages][1:] == ["user", "assistant", "user"]
    assert "assert double(4) == 8" in repair.messages[-1][1]
    assert script.asked[1].body["options"]["num_ctx"] == script.asked[0].body["options"]["num_ctx"]


async def test_a_task_escalates_to_the_next_role_after_two_failures(open_server: OpenServer):
    script = Script({LOCAL: [WRONG, STILL_WRONG], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert script.models == [LOCAL, LOCAL, ECONOMY]
    assert receipt["model"] == "claude-haiku-5-5"
    assert receipt["cost_usd"] == sum(attempt["cost_usd"] for attempt in receipt["attempts"]) > 0


async def test_when_every_attempt_fails_the_best_one_is_returned_as_failed(open_server: OpenServer):
    half = Reply(fenced("def double(count):\n    return 8"))
    script = Script({LOCAL: [WRONG], FAST: [WRONG], ECONOMY: [half], VALIDATOR: [WRONG], DIRECTOR: [WRONG]})
    module = "def test_four():\n    assert double(4) == 8\n\ndef test_minus_one():\n    assert double(-1) == -2\n"
    async with open_server(script) as server:
        result = await server.client.call_tool(
            "delegate_generation", {"task": RENAME, "tests": module, "max_attempts": 20}
        )

    receipt = result.structured_content
    assert receipt["status"] == "failed"
    assert receipt["code"] == "def double(count):\n    return 8\n"
    assert receipt["verified_by"] == []
    assert "saved_usd" not in receipt
    assert text_of(result).startswith("Failed")
    attempts = receipt["attempts"]
    assert f"Model claude-haiku-5-5, {len(attempts)} attempt(s), $" in text_of(result)
    assert "tests failed:\n```" in text_of(result)
    assert "assert 8 == -2" in text_of(result)


async def test_the_text_clips_a_long_failure_to_its_beginning_and_end(open_server: OpenServer):
    failing = f"def test_it():\n    assert double(2) == 5, 'x' * 3_000\n    assert {'1 + ' * 400}1\n"
    async with open_server(Script({LOCAL: [WRONG]})) as server:
        call = {"task": RENAME, "tests": failing, "max_attempts": 1}
        result = await server.client.call_tool("delegate_generation", call)

    text = text_of(result)
    failure = result.structured_content["attempts"][0]["checks"][-1]["first_failure"]
    assert len(failure) > 2_000
    assert failure[:500] in text
    assert failure[-1_000:] in text
    assert failure not in text


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (HttpFault(429), "qwen3-30b-a3b: rate_limited"),
        (HttpFault(500), "qwen3-30b-a3b: error"),
        (Reply("```python\n```"), "qwen3-30b-a3b: empty: its code block is empty."),
    ],
)
async def test_without_a_usable_answer_the_text_names_the_attempt_and_its_outcome(
    open_server: OpenServer, answer: Reply | HttpFault, note: str
):
    async with open_server(Script({LOCAL: [answer]})) as server:
        call = {"task": RENAME, "tests": TESTS, "model": "local"}
        text = text_of(await server.client.call_tool("delegate_generation", call))

    assert text.startswith("Failed: no model gave a usable answer.")
    assert "1 attempt(s), $0.0000." in text
    assert note in text


async def test_max_attempts_ends_a_cascade(open_server: OpenServer):
    script = Script({LOCAL: [WRONG]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_attempts=1)

    assert receipt["status"] == "failed"
    assert script.models == [LOCAL]
    assert "max_attempts (1) is used up." in receipt["notes"]


async def test_max_seconds_ends_a_cascade_during_its_checks(open_server: OpenServer):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=TESTS + "\nwhile True: pass", max_seconds=2
        )

    assert receipt["status"] == "failed"
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["timeout"]
    assert "max_seconds (2 s) is used up." in receipt["notes"]


async def test_a_failing_vendor_is_replaced_by_the_next_role(open_server: OpenServer):
    script = Script({LOCAL: [HttpFault(503, message="server busy")], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["rate_limited", "passed"]
    assert any(note.startswith("qwen3-30b-a3b: rate_limited") for note in receipt["notes"])


async def test_a_rejected_key_moves_the_task_to_another_vendor_and_is_not_disclosed(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    script = Script({LOCAL: [WRONG], FAST: [RIGHT]})
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-the-right-one")
    async with open_server(script, without=("ANTHROPIC_API_KEY",)) as server:
        result = await server.client.call_tool("delegate_generation", {"task": RENAME, "tests": TESTS})

    receipt = result.structured_content
    assert receipt["status"] == "succeeded"
    outcomes = [(a["model"], a["outcome"]) for a in receipt["attempts"]]
    assert outcomes[2:] == [("claude-haiku-5-5", "unreachable"), ("gpt-oss-120b", "passed")]
    assert "sk-ant-not-the-right-one" not in json.dumps(receipt) + text_of(result)


async def test_an_interrupted_stream_is_an_error_and_its_received_part_is_billed(open_server: OpenServer):
    script = Script({ECONOMY: [Cut(RIGHT)], VALIDATOR: [RIGHT], FAST: [RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    first = receipt["attempts"][0]
    assert (first["model"], first["outcome"]) == ("claude-haiku-5-5", "error")
    assert first["cost_usd"] > 0
    assert receipt["status"] == "succeeded"


async def test_a_truncated_answer_is_never_a_success(open_server: OpenServer):
    cut_off = Reply(fenced("def double(count):\n    return 2 * count"), stop="length")
    script = Script({LOCAL: [cut_off], FAST: [WRONG], ECONOMY: [WRONG], VALIDATOR: [WRONG], DIRECTOR: [WRONG]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_attempts=2)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["truncated", "failed_check"]
    assert receipt["status"] == "failed"


async def test_a_refused_task_goes_to_another_model(open_server: OpenServer):
    script = Script({ECONOMY: [Reply("I cannot.", stop="refusal")], FAST: [RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["refused", "passed"]


async def test_a_refusal_in_prose_counts_as_empty_and_another_model_is_asked(open_server: OpenServer):
    declined = Reply("I'm sorry, I cannot help with that request.")
    async with open_server(Script({LOCAL: [declined], ECONOMY: [RIGHT], VALIDATOR: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, task_type="code_generation")

    assert receipt["status"] == "unverified"
    assert receipt["attempts"][0]["outcome"] == "empty"
    (note,) = [note for note in receipt["notes"] if "prose instead of code" in note]
    assert "I'm sorry, I cannot help with that request." in note
    assert receipt["code"] == "def double(count):\n    return 2 * count\n"


async def test_prose_without_code_is_sent_back_for_repair_and_never_delivered(open_server: OpenServer):
    prose = Reply("Here is how I would do it: first I would take the count, and then I would double it.")
    async with open_server(Script({LOCAL: [prose, RIGHT]})) as server:
        repaired = await server.call("delegate_generation", task=RENAME, task_type="code_generation")
    async with open_server(Script({LOCAL: [prose, prose]})) as server:
        stubborn = await server.call(
            "delegate_generation", task=RENAME, task_type="code_generation", model="qwen3-30b-a3b"
        )

    assert [attempt["outcome"] for attempt in repaired["attempts"]] == ["failed_check", "unverified"]
    assert "There is no code in your answer" in repaired["attempts"][0]["checks"][0]["first_failure"]
    assert repaired["code"] == "def double(count):\n    return 2 * count\n"
    assert (stubborn["status"], stubborn.get("code")) == ("failed", None)


@pytest.mark.parametrize(
    ("task", "example"),
    [
        ("Write a README for the package m", "```python\nfrom m import add\n\nprint(add(1, 2))\n```"),
        ("Write documentation for the npm package m", "```js\nimport { add } from 'm';\nconst x = add(1, 2);\n```"),
        ("Review this code for leaks: f = open('x')", "```python\nimport os\nf = open('x')\n```"),
        ("Propose an architecture for a key-value store", "```python\nclass Store:\n    def get(self, key): ...\n```"),
    ],
)
async def test_prose_with_a_code_example_is_not_checked_as_code(open_server: OpenServer, task: str, example: str):
    prose = f"# m\n\nIt adds two numbers.\n\n{example}\n\nIt returns the sum of both.\n"
    async with open_server(lambda _: Reply(prose)) as server:
        receipt = await server.call("delegate_generation", task=task)

    assert receipt["status"] == "unverified"
    assert receipt["code"] == prose
    assert len(receipt["attempts"]) == 1


async def test_a_repair_that_also_wants_a_changelog_entry_is_answered_with_code(open_server: OpenServer):
    code = "def to_ordinal(n):\n    return f'{n}th'\n"
    async with open_server(lambda _: Reply(f"The suffix was wrong.\n\n```python\n{code}```\n")) as server:
        receipt = await server.call("delegate_generation", task="Fix to_ordinal and add a test and a changelog entry")

    assert receipt["code"] == code


async def test_a_requested_explanation_is_delivered_whole(open_server: OpenServer):
    explanation = "Here is what it does: it adds the two:\n\n```python\nadd(1, 2)  # 3\n```\n\nStrings are joined.\n"
    async with open_server(lambda _: Reply(explanation)) as server:
        receipt = await server.call(
            "delegate_generation", task="Explain what this function does: def add(a, b): return a + b"
        )

    assert (receipt["status"], receipt["code"]) == ("unverified", explanation)
    assert len(receipt["attempts"]) == 1


async def test_a_note_reports_long_prose_omitted_around_a_snippet(open_server: OpenServer):
    wordy = f"It doubles. {'It returns twice the number that it is given. ' * 10}\n\n{RIGHT.text}"
    async with open_server(lambda _: Reply(wordy)) as server:
        long = await server.call("delegate_generation", task=RENAME, task_type="code_generation")
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        short = await server.call("delegate_generation", task=RENAME, task_type="code_generation")

    assert any("words around its code were left out" in note for note in long["notes"])
    assert not any("left out" in note for note in short["notes"])


async def test_a_pinned_model_is_repaired_but_never_replaced(open_server: OpenServer):
    script = Script({ECONOMY: [WRONG, STILL_WRONG]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, model="haiku")

    assert receipt["status"] == "failed"
    assert script.models == [ECONOMY, ECONOMY]


async def test_an_unavailable_pinned_model_fails_with_a_remedy(open_server: OpenServer):
    async with open_server(Script()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, model="qwen2.5-coder-32b")

    assert receipt["status"] == "failed"
    assert receipt["attempts"] == []
    assert any("ollama pull qwen2.5-coder:32b" in note for note in receipt["notes"])


async def test_local_only_without_a_local_model_is_refused_and_sends_nothing(open_server: OpenServer):
    script = Script()
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, local_only=True)
        sent = [*server.vendors.anthropic.journal.exchanges, *server.vendors.cerebras.journal.exchanges]

    assert receipt["status"] == "refused"
    assert sent == []


async def test_local_only_never_escalates_to_a_remote_model(open_server: OpenServer):
    script = Script({LOCAL: [WRONG, STILL_WRONG]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, local_only=True)

    assert receipt["status"] == "failed"
    assert set(script.models) == {LOCAL}


async def test_an_ollama_cloud_model_does_not_count_as_local(open_server: OpenServer):
    cloud = type(QWEN)(QWEN.name, capabilities=QWEN.capabilities, remote_host="https://ollama.com:443")
    async with open_server(Script(), installed=(cloud,)) as server:
        receipt = await server.call("delegate_generation", task=RENAME, local_only=True)

    assert receipt["status"] == "refused"


@pytest.mark.parametrize(("daily_usd", "call_usd"), [(5, 0.03), (0.03, 5)])
async def test_the_tighter_budget_lowers_max_tokens_instead_of_refusing(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, daily_usd: float, call_usd: float
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", str(daily_usd))
    script = Script({VALIDATOR: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=TESTS, model="sonnet", max_cost_usd=call_usd
        )

    assert receipt["status"] == "succeeded"
    assert script.asked[0].body["max_tokens"] < 3_000
    assert receipt["cost_usd"] <= 0.03


@pytest.mark.parametrize("limit", ["max_output_tokens: 1000", "context_tokens: 1500"])
async def test_max_tokens_respects_the_models_output_and_context_limits(open_server: OpenServer, tmp_path, limit: str):
    profiles = tmp_path / "chargehand-home" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "own.yaml").write_text(f"id: claude-sonnet-5-5\n{limit}\n")
    script = Script({VALIDATOR: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, model="sonnet")
        (exchange,) = server.vendors.anthropic.journal.to("/v1/messages")

    assert receipt["code"]
    assert script.asked[0].body["max_tokens"] <= (1_000 if "output" in limit else 1_500 - exchange.input_tokens)


async def test_a_call_budget_below_the_models_cost_is_over_budget_without_a_request(open_server: OpenServer):
    script = Script()
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, model="opus", max_cost_usd=0.0001)

    assert receipt["status"] == "over_budget"
    assert script.asked == []


async def test_a_zero_daily_budget_rules_out_paid_models_but_not_free_ones(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        paid = await server.call("delegate_generation", task=RENAME, model="haiku")
        free = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert paid["status"] == "over_budget"
    assert free["status"] == "succeeded"
    assert script.models == [LOCAL]


async def test_context_and_context_files_are_part_of_the_prompt(open_server: OpenServer, tmp_path):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        (tmp_path / "project" / "rates.py").write_text("RATE = 2  # a canary of the file\n")
        await server.call("delegate_generation", task=RENAME, context_files=["rates.py"], context="Keep it short.")

    prompt = script.asked[0].messages[-1][1]
    assert "RATE = 2  # a canary of the file" in prompt
    assert 'path="rates.py"' in prompt
    assert "Keep it short." in prompt
    assert f"\n{RENAME}\n" in prompt


async def test_project_test_files_run_in_a_copy_of_the_project(open_server: OpenServer, tmp_path):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        project = tmp_path / "project"
        (project / "data.py").write_text("FOUR = 4\n")
        (project / "test_double.py").write_text(
            "from data import FOUR\nfrom solution import double\n\ndef test_it():\n"
            "    open('made_by_the_test', 'w').close()\n    assert double(FOUR) == 8\n"
        )
        receipt = await server.call("delegate_generation", task=RENAME, tests="test_double.py")

    assert receipt["status"] == "succeeded", receipt
    assert receipt["attempts"][0]["checks"][-1]["tests_passed"] == 1
    assert sorted(path.name for path in project.iterdir()) == ["data.py", "test_double.py"]


@pytest.mark.parametrize("arguments", [{}, {"target": "double.py", "output": "apply"}], ids=["standalone", "applied"])
async def test_a_project_too_large_to_be_copied_for_its_tests_leaves_the_answer_unverified(
    open_server: OpenServer, tmp_path, arguments: dict[str, str]
):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        project = tmp_path / "project"
        (project / "test_double.py").write_text("def test_it():\n    assert True\n")
        with (project / "large.bin").open("wb") as file:
            file.truncate(129_000_000)
        receipt = await server.call("delegate_generation", task=RENAME, tests="test_double.py", **arguments)

    assert receipt["status"] == "unverified"
    (tests,) = (check for check in receipt["attempts"][0]["checks"] if check["name"] == "tests")
    assert "is larger than 128 MB or 20,000 files" in tests["note"]
    assert not (project / "double.py").exists()


async def test_tests_that_execute_no_assertion_leave_the_answer_unverified(open_server: OpenServer):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests="def check():\n    assert False\n")

    assert receipt["status"] == "unverified"


async def test_an_answer_in_another_language_than_its_tests_is_sent_back_for_repair(open_server: OpenServer):
    javascript = Reply(fenced("const double = (count) => 2 * count;", "javascript"))
    script = Script({LOCAL: [javascript, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert "use Python" in script.asked[1].messages[-1][1]


async def test_a_note_on_a_language_mismatch_suggests_naming_the_answers_file(open_server: OpenServer):
    async with open_server(Script({LOCAL: [Reply(fenced("It doubles.", "markdown"))]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_attempts=1)

    check = receipt["attempts"][0]["checks"][0]
    assert check["first_failure"] == "The tests are Python and the answer is markdown: use Python."
    assert (
        "tests: if markdown is right, name its file (`target`; `files` to validate it), so that the tests can read it"
        in receipt["notes"]
    )


async def test_python_code_with_a_wrong_language_tag_succeeds(open_server: OpenServer):
    script = Script({LOCAL: [Reply(fenced("def double(count):\n    return 2 * count", "javascript"))]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"


async def test_an_answer_that_exits_the_test_process_fails_its_check(open_server: OpenServer):
    script = Script({LOCAL: [Reply(fenced("import os\nos._exit(0)"))], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["attempts"][0]["outcome"] == "failed_check"
    assert receipt["status"] == "succeeded"


async def test_after_wait_s_the_call_returns_running_and_resume_returns_the_receipt(open_server: OpenServer, era: str):
    gate = anyio.Event()
    async with open_server(Script({LOCAL: [Stall(RIGHT, gate, after=1)]}), era=era) as server:
        result = await server.client.call_tool("delegate_generation", {"task": RENAME, "tests": TESTS, "wait_s": 0})
        running = result.structured_content
        gate.set()
        receipt = await server.call("delegate_generation", resume=running["task_id"])
        resumed_again = await server.call("delegate_generation", resume=running["task_id"])

    assert running["status"] == "running"
    assert f'delegate_generation(resume="{running["task_id"]}")' in text_of(result)
    assert receipt["status"] == "succeeded"
    assert receipt["task_id"] == running["task_id"]
    assert resumed_again == receipt
    assert len(running["task_id"]) == 32


async def test_cancel_ends_a_running_delegation_and_bills_what_was_streamed(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]}), installed=()) as server:
        running = await server.call("delegate_generation", task=RENAME, wait_s=0)
        await _wait_for_streaming(server.vendors.anthropic.journal)
        receipt = await server.call("delegate_generation", resume=running["task_id"], cancel=True)
        exchange = server.vendors.anthropic.journal.to("/v1/messages")[0]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert receipt["status"] == "cancelled"
    assert receipt["attempts"][0]["outcome"] == "cancelled"
    assert receipt["cost_usd"] > 0
    with opened_ledger(tmp_path / "chargehand-home") as db:
        booked = db.execute("SELECT outcome, ROUND(cost_usd, 6) FROM attempts").fetchall()
    assert booked == [("cancelled", receipt["cost_usd"])]
    assert exchange.client_disconnected


async def test_cancelling_the_call_closes_the_vendors_connection(open_server: OpenServer, era: str):
    async with open_server(Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=2)]}), era=era) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(server.client.call_tool, "delegate_generation", {"task": RENAME})
            await _wait_for_streaming(server.vendors.ollama.journal)
            group.cancel_scope.cancel()
        exchange = server.vendors.ollama.journal.to("/api/chat")[0]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert exchange.client_disconnected


async def test_cancelling_the_call_during_embedding_records_the_task_as_cancelled(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_EMBEDDER", "ollama:nomic-embed-text")
    embedder = OllamaModel("nomic-embed-text", context_tokens=2048, capabilities=("embedding",))
    embedding_started, embed = anyio.Event(), OllamaPeer._embed

    async def embed_never_returns(peer: OllamaPeer, request: Request) -> Response:
        if RENAME in (await request.body()).decode():
            embedding_started.set()
            await anyio.sleep_forever()
        return await embed(peer, request)

    monkeypatch.setattr(OllamaPeer, "_embed", embed_never_returns)
    async with open_server(Script({LOCAL: [RIGHT]}), installed=(QWEN, embedder)) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(server.client.call_tool, "delegate_generation", {"task": RENAME})
            with anyio.fail_after(60):
                await embedding_started.wait()
            group.cancel_scope.cancel()
        async with own_services() as services:
            with anyio.fail_after(60):
                while await services.ledger.rows("SELECT id FROM tasks WHERE status = 'running'"):
                    await anyio.lowlevel.checkpoint()
            (status,) = await services.ledger.rows("SELECT status FROM tasks")

    assert status == ("cancelled",)


async def test_progress_increases_strictly_and_names_attempt_and_model(open_server: OpenServer, era: str):
    updates: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        updates.append((progress, message or ""))

    async with open_server(Script({LOCAL: [WRONG, RIGHT]}), era=era) as server:
        await server.client.call_tool(
            "delegate_generation", {"task": RENAME, "tests": TESTS}, progress_callback=on_progress
        )

    numbers = [number for number, _ in updates]
    assert numbers == sorted(set(numbers))
    assert any("attempt 2: qwen3-30b-a3b" in message for _, message in updates)


async def test_without_a_reachable_model_the_receipt_names_a_remedy(open_server: OpenServer):
    missing = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")
    async with open_server(Script(), installed=(), without=missing) as server:
        receipt = await server.call("delegate_generation", task=RENAME)

    assert receipt["status"] == "failed"
    assert any("ollama pull " in note for note in receipt["notes"])


async def test_two_delegations_run_concurrently(open_server: OpenServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "2")
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1), RIGHT]})
    async with open_server(script) as server:
        first = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await _wait_for_streaming(server.vendors.ollama.journal)
        second = await server.call("delegate_generation", task=RENAME, tests=TESTS)
        gate.set()
        first = await server.call("delegate_generation", resume=first["task_id"])

    assert (first["status"], second["status"]) == ("succeeded", "succeeded")


async def _wait_for_streaming(journal) -> None:
    """Waits until a vendor has started to answer a generation request."""
    with anyio.fail_after(60):
        while not any(e.status == 200 for p in ("/api/chat", "/v1/messages") for e in journal.to(p)):
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("limits", [{"max_attempts": 1}, {"max_attempts": 2, "model": "haiku"}])
async def test_an_answer_that_needs_a_missing_package_is_unverified_after_the_last_attempt(
    open_server: OpenServer, limits: dict[str, object]
):
    needs_package = Reply(fenced("import numpy_of_the_user\n\ndef double(count):\n    return 2 * count"))
    async with open_server(Script({LOCAL: [needs_package], ECONOMY: [needs_package]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, **limits)

    assert receipt["status"] == "unverified"
    assert "numpy_of_the_user" in receipt["code"]


async def test_an_answer_that_needs_a_missing_package_is_unverified_without_escalation(open_server: OpenServer):
    script = Script({LOCAL: [Reply(fenced("import numpy_of_the_user\n\ndef double(count):\n    return 2 * count"))]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "unverified"
    assert script.models == [LOCAL, LOCAL]
    assert any("numpy_of_the_user is missing" in note for note in receipt["notes"])


async def test_the_text_shows_no_test_results_of_attempts_other_than_the_delivered_one(open_server: OpenServer):
    needs_package = Reply(fenced("import numpy_of_the_user\n\ndef double(count):\n    return 2 * count"))
    nearly = Reply(fenced("def double(count):\n    return 2 * count if count < 3 else 0"))
    tests = "def test_one():\n    assert double(1) == 2\n\ndef test_four():\n    assert double(4) == 8\n"
    async with open_server(Script({LOCAL: [needs_package, nearly]})) as server:
        result = await server.client.call_tool(
            "delegate_generation", {"task": RENAME, "tests": tests, "model": "qwen3-30b-a3b"}
        )

    receipt, text = result.structured_content, text_of(result)
    assert "numpy_of_the_user" in receipt["code"]
    assert [attempt.get("delivered") for attempt in receipt["attempts"]] == [True, None]
    assert "1 of 2 tests passed" not in text
    assert "double(4)" not in text


async def test_the_text_shows_the_beginning_and_more_of_the_end_of_a_long_failure(open_server: OpenServer):
    tests = "message = 'BEGIN ' + 'x ' * 2_000 + 'END'\nassert double(2) == 5, message\n"
    async with open_server(Script({LOCAL: [WRONG]})) as server:
        result = await server.client.call_tool(
            "delegate_generation", {"task": RENAME, "tests": tests, "max_attempts": 1}
        )

    whole = result.structured_content["attempts"][0]["checks"][-1]["first_failure"]
    assert len(whole) > 2_000
    assert f"{whole[:500]}\n[…]\n{whole[-1_100:]}\n```" in text_of(result)
    assert whole.endswith("END\nleft: 4\nright: 5")


async def test_each_task_keeps_its_decision_and_only_tests_that_its_text_alone_can_repeat(
    open_server: OpenServer, tmp_path: Path
):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        (tmp_path / "project" / "notes.md").write_text("# Notes\n")
        for more in ({}, {"context": "Count in tens."}, {"context_files": ["notes.md"]}):
            receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, **more)
            assert receipt["status"] == "succeeded"

    with opened_ledger(tmp_path / "chargehand-home") as db:
        assert db.execute("SELECT tests FROM tasks ORDER BY begun_at").fetchall() == [(TESTS,), (None,), (None,)]
        assert db.execute("SELECT COUNT(DISTINCT task_id) FROM decisions").fetchall() == [(3,)]
