"""`chargehand evaluate --from-repo`, run as a user runs it, with local and remote vendors."""

import os
import sys
from pathlib import Path

import pytest
from command_line import CommandResult, run_command
from histories import ROUNDED, ROUNDED_TESTS, ROUNDING, TOTAL, TOTAL_TESTS, GitHistory, shop_history
from running_server import Script

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE, HAIKU = "qwen3-30b-a3b", "qwen3:30b-a3b", "claude-haiku-5-5"
RIGHT = Reply(f"shop/total.py\n```python\n{ROUNDED}```\n")
WRONG = Reply(f"shop/total.py\n```python\n{TOTAL.replace('sum', 'max')}```\n")


async def evaluate(
    folder: Path, script: Script, *arguments: str, config: str = "", **environment: str
) -> CommandResult:
    (folder / "config.toml").write_text(config)
    async with vendors(script) as peers:
        variables = {
            "PATH": os.environ["PATH"],
            "COLUMNS": "200",
            "HOME": str(folder),
            "CHARGEHAND_HOME": str(folder / "data"),
            "CHARGEHAND_CONFIG": str(folder / "config.toml"),
            **peers.environment,
            **environment,
        }
        return await run_command(variables, "evaluate", "--json", *arguments)


def passed_and_asked(result: CommandResult) -> dict[str, tuple[int, int]]:
    """The counts (passed, asked) by model."""
    return {model["model"]: (model["all"]["passed"], model["all"]["asked"]) for model in result.json["models"]}


@pytest.fixture
def history(tmp_path: Path) -> GitHistory:
    return shop_history(tmp_path / "work" / "shop")


def repository(history: GitHistory, *models: str) -> tuple[str, ...]:
    return "--from-repo", str(history.folder), "--models", *(models or (LOCAL, HAIKU))


def home(history: GitHistory) -> Path:
    return history.folder.parent.parent


def prompt_of(ask: Ask) -> str:
    return "\n".join(text for _, text in ask.messages)


async def test_models_are_measured_on_commits_and_the_skipped_commits_are_explained(history: GitHistory):
    script = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})

    result = await evaluate(home(history), script, *repository(history))

    assert result.code == 0, result.error
    assert passed_and_asked(result) == {LOCAL: (0, 1), HAIKU: (1, 1)}
    assert result.json["suite"] == f"shop@{(history.head or '')[:12]}, 200 commits, 20 tasks at most"
    assert "1 of 2 commits became tasks." in result.error
    assert "The others: the first commit (1)." in result.error


async def test_the_prompt_has_the_code_before_the_commit_but_not_its_solution_or_tests(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})

    await evaluate(home(history), script, *repository(history, LOCAL))

    (ask,) = script.asked
    assert "Round totals to cents" in prompt_of(ask)
    assert "return sum(prices)" in prompt_of(ask)
    assert "round(sum(prices)" not in prompt_of(ask)
    assert "test_cents" not in prompt_of(ask)


@pytest.mark.parametrize(
    ("config", "reason", "batch"),
    [
        ('[privacy]\nlocal_only = ["shop/**"]\n', "shop/total.py lies under [privacy] local_only (shop/**)", ()),
        ('[privacy]\nlocal_only = ["shop/**"]\n', "shop/total.py lies under [privacy] local_only", ("--batch",)),
        (
            '[privacy]\nlocal_only = ["tests/**"]\n',
            "tests/test_total.py lies under [privacy] local_only (tests/**)",
            (),
        ),
    ],
)
async def test_a_task_with_local_only_files_is_given_to_local_models_only(
    history: GitHistory, config: str, reason: str, batch: tuple[str, ...]
):
    script = Script({LOCAL_WIRE: [RIGHT], HAIKU: [RIGHT]})

    result = await evaluate(home(history), script, *repository(history), *batch, config=config)

    assert script.models == [LOCAL_WIRE]
    assert result.code == 0, result.error
    assert passed_and_asked(result) == {LOCAL: (1, 1)}
    assert result.json["withheld"] == {HAIKU: 1}
    ((reasons),) = result.json["staying"].values()
    assert reason in "; ".join(reasons)


async def test_a_local_only_pattern_from_a_root_above_the_repository_applies_to_its_tasks(history: GitHistory):
    script, root = Script({HAIKU: [RIGHT]}), str(history.folder.parent)

    result = await evaluate(
        home(history), script, *repository(history, HAIKU), config='[privacy]\nlocal_only = ["shop/shop/**"]\n',
        CHARGEHAND_ROOTS=root,
    )  # fmt: skip

    assert script.asked == []
    assert (result.code, result.json["withheld"]) == (1, {HAIKU: 1})


async def test_a_new_file_in_a_local_only_folder_keeps_its_task_local(history: GitHistory):
    history.commit(
        "Bill what was sold to somebody",
        {
            "private/bill.py": "def bill(total):\n    return f'{total} €'\n",
            "tests/test_bill.py": "from private.bill import bill\n\n\ndef test_bill():\n    assert bill(3) == '3 €'\n",
        },
    )
    script = Script({HAIKU: [RIGHT]})

    result = await evaluate(
        home(history), script, *repository(history, HAIKU), config='[privacy]\nlocal_only = ["private/**"]\n'
    )

    assert result.json["withheld"] == {HAIKU: 1}
    assert [("bill" in prompt_of(ask)) for ask in script.asked] == [False]


async def test_a_secret_in_the_code_before_a_commit_keeps_its_task_local(history: GitHistory):
    key = "AKIA" + "Q3EXZ7PLMN2KJH5T"
    history.commit("Charge for what was sold at the bank", {"shop/total.py": f'KEY = "{key}"\n{ROUNDED}'})
    history.commit(
        "Round totals to tenths of a cent",
        {
            "shop/total.py": f'KEY = "{key}"\n{ROUNDED.replace("2)", "3)")}',
            "tests/test_total.py": ROUNDED_TESTS + "\n\ndef test_mills():\n    assert total([0.0014]) == 0.001\n",
        },
    )
    script = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})

    result = await evaluate(home(history), script, *repository(history), "--tasks", "1")

    assert script.models == [LOCAL_WIRE]
    ((reason,),) = result.json["staying"].values()
    assert "looks like a secret" in reason


async def test_local_only_leaves_out_remote_models_and_says_so(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})

    result = await evaluate(
        home(history), script, "--from-repo", str(history.folder), CHARGEHAND_LOCAL_ONLY="true"
    )  # fmt: skip

    assert passed_and_asked(result) == {LOCAL: (1, 1)}
    assert "Left out, because CHARGEHAND_LOCAL_ONLY keeps everything on this machine: " in result.error
    assert HAIKU in result.error


async def test_report_reprints_a_finished_evaluation_and_a_new_commit_starts_another(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})
    folder = home(history)
    first = await evaluate(folder, script, *repository(history, LOCAL))

    report = await evaluate(folder, script, "--report")
    history.commit("Say what the shop is", {"README.md": "A shop.\n"})
    second = await evaluate(folder, script, *repository(history, LOCAL))

    assert report.json["id"] == first.json["id"]
    assert second.json["suite"] != first.json["suite"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("--commits", "3"), "goes with --from-repo"),
        (("--from-repo", ".", "--seed", "3"), "--seed cannot go with --from-repo"),
        (("--from-repo", ".", "--resume"), "--from-repo cannot go with --resume"),
        (("--from-repo", ".", "--since", "yesterday"), "use YYYY-MM-DD"),
        (("--from-repo", ".", "--python", "/nowhere/python"), "name its bin/python"),
        (("--from-repo", ".", "--commits", "0"), "between 1 and 10000"),
    ],
)
async def test_invalid_or_conflicting_options_are_refused(history: GitHistory, arguments: tuple[str, ...], remedy: str):
    result = await evaluate(history.folder, Script(), *arguments)

    assert result.code == 2
    assert remedy in result.error


async def test_a_since_date_after_the_newest_commit_is_named_in_the_error(history: GitHistory):
    result = await evaluate(home(history), Script(), *repository(history, LOCAL), "--since", "2100-01-01")

    assert result.code == 1
    assert "no commit became a task. Name an earlier --since." in result.error


async def test_the_given_python_runs_in_the_sandbox_of_the_users_config(history: GitHistory):
    outside = home(history) / "outside"
    outside.write_text("")
    tests = f"from pathlib import Path\n\n{ROUNDED_TESTS}    assert Path({str(outside)!r}).exists()\n"
    history.commit("Forget cents", {"shop/total.py": TOTAL, "tests/test_total.py": TOTAL_TESTS})
    history.commit(ROUNDING, {"shop/total.py": ROUNDED, "tests/test_total.py": tests})
    script = Script({LOCAL_WIRE: [RIGHT]})
    arguments = (*repository(history, LOCAL), "--commits", "1", "--python", sys.executable)

    isolated = await evaluate(home(history), script, *arguments)
    unsafe = await evaluate(home(history), script, *arguments, config='[sandbox]\nbackend = "unsafe-local"\n')

    assert "no commit became a task" in isolated.error
    assert unsafe.code == 0, unsafe.error
    assert passed_and_asked(unsafe) == {LOCAL: (1, 1)}


async def test_a_folder_that_is_not_a_git_repository_is_refused(history: GitHistory):
    result = await evaluate(home(history), Script(), "--from-repo", str(home(history)))

    assert result.code == 1
    assert "is not a readable git repository" in result.error
