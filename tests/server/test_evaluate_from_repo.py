"""`chargehand evaluate --from-repo` as a person types it, with vendors on this machine and elsewhere."""

import os
import sys
from pathlib import Path

import pytest
from command_line import CommandResult, run_command
from histories import ROUNDED, ROUNDED_TESTS, ROUNDING, TOTAL, TOTAL_TESTS, GitHistory, shop_history
from house import Script

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
        own = {
            "PATH": os.environ["PATH"],
            "COLUMNS": "200",
            "HOME": str(folder),
            "CHARGEHAND_HOME": str(folder / "data"),
            "CHARGEHAND_CONFIG": str(folder / "config.toml"),
            **peers.environment,
            **environment,
        }
        return await run_command(own, "evaluate", "--json", *arguments)


def passed(seen: CommandResult) -> dict[str, tuple[int, int]]:
    """Passed and asked, by model."""
    return {model["model"]: (model["all"]["passed"], model["all"]["asked"]) for model in seen.json["models"]}


@pytest.fixture
def history(tmp_path: Path) -> GitHistory:
    return shop_history(tmp_path / "work" / "shop")


def repository(history: GitHistory, *models: str) -> tuple[str, ...]:
    return "--from-repo", str(history.folder), "--models", *(models or (LOCAL, HAIKU))


def home(history: GitHistory) -> Path:
    return history.folder.parent.parent


def seen_by(ask: Ask) -> str:
    return "\n".join(text for _, text in ask.messages)


async def test_models_are_measured_on_the_tasks_of_a_history_and_its_commits_are_accounted_for(history: GitHistory):
    script = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})

    seen = await evaluate(home(history), script, *repository(history))

    assert seen.code == 0, seen.error
    assert passed(seen) == {LOCAL: (0, 1), HAIKU: (1, 1)}
    assert seen.json["suite"] == f"shop@{(history.head or '')[:12]}, 200 commits, 20 tasks at most"
    assert "1 of 2 commits became tasks." in seen.error
    assert "The others: the first commit (1)." in seen.error


async def test_a_model_sees_the_code_before_the_commit_and_neither_its_solution_nor_its_tests(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})

    await evaluate(home(history), script, *repository(history, LOCAL))

    (ask,) = script.asked
    assert "Round totals to cents" in seen_by(ask)
    assert "return sum(prices)" in seen_by(ask)
    assert "round(sum(prices)" not in seen_by(ask)
    assert "test_cents" not in seen_by(ask)


@pytest.mark.parametrize(
    ("config", "why", "batch"),
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
async def test_a_task_with_files_that_must_stay_is_asked_of_local_models_alone(
    history: GitHistory, config: str, why: str, batch: tuple[str, ...]
):
    script = Script({LOCAL_WIRE: [RIGHT], HAIKU: [RIGHT]})

    seen = await evaluate(home(history), script, *repository(history), *batch, config=config)

    assert script.models == [LOCAL_WIRE]
    assert seen.code == 0, seen.error
    assert passed(seen) == {LOCAL: (1, 1)}
    assert seen.json["withheld"] == {HAIKU: 1}
    ((reasons),) = seen.json["staying"].values()
    assert why in "; ".join(reasons)


async def test_a_pattern_from_a_root_above_the_repository_holds_for_its_tasks(history: GitHistory):
    script, root = Script({HAIKU: [RIGHT]}), str(history.folder.parent)

    seen = await evaluate(
        home(history), script, *repository(history, HAIKU), config='[privacy]\nlocal_only = ["shop/shop/**"]\n',
        CHARGEHAND_ROOTS=root,
    )  # fmt: skip

    assert script.asked == []
    assert (seen.code, seen.json["withheld"]) == (1, {HAIKU: 1})


async def test_a_new_file_below_a_private_folder_keeps_its_task_here(history: GitHistory):
    history.commit(
        "Bill what was sold to somebody",
        {
            "private/bill.py": "def bill(total):\n    return f'{total} €'\n",
            "tests/test_bill.py": "from private.bill import bill\n\n\ndef test_bill():\n    assert bill(3) == '3 €'\n",
        },
    )
    script = Script({HAIKU: [RIGHT]})

    seen = await evaluate(
        home(history), script, *repository(history, HAIKU), config='[privacy]\nlocal_only = ["private/**"]\n'
    )

    assert seen.json["withheld"] == {HAIKU: 1}
    assert [("bill" in seen_by(ask)) for ask in script.asked] == [False]


async def test_a_secret_in_the_code_before_a_commit_keeps_its_task_here(history: GitHistory):
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

    seen = await evaluate(home(history), script, *repository(history), "--tasks", "1")

    assert script.models == [LOCAL_WIRE]
    ((reason,),) = seen.json["staying"].values()
    assert "looks like a secret" in reason


async def test_where_nothing_may_leave_no_model_elsewhere_is_asked_and_that_is_said(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})

    seen = await evaluate(
        home(history), script, "--from-repo", str(history.folder), CHARGEHAND_LOCAL_ONLY="true"
    )  # fmt: skip

    assert passed(seen) == {LOCAL: (1, 1)}
    assert "Left out, because CHARGEHAND_LOCAL_ONLY keeps everything on this machine: " in seen.error
    assert HAIKU in seen.error


async def test_a_finished_evaluation_prints_again_and_the_next_commit_begins_another(history: GitHistory):
    script = Script({LOCAL_WIRE: [RIGHT]})
    folder = home(history)
    first = await evaluate(folder, script, *repository(history, LOCAL))

    again = await evaluate(folder, script, "--report")
    history.commit("Say what the shop is", {"README.md": "A shop.\n"})
    second = await evaluate(folder, script, *repository(history, LOCAL))

    assert again.json["id"] == first.json["id"]
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
async def test_what_cannot_go_together_is_refused(history: GitHistory, arguments: tuple[str, ...], remedy: str):
    seen = await evaluate(history.folder, Script(), *arguments)

    assert seen.code == 2
    assert remedy in seen.error


async def test_a_day_after_the_newest_commit_is_named_as_the_trouble(history: GitHistory):
    seen = await evaluate(home(history), Script(), *repository(history, LOCAL), "--since", "2100-01-01")

    assert seen.code == 1
    assert "no commit became a task. Name an earlier --since." in seen.error


async def test_another_python_runs_in_the_sandbox_of_the_users_config(history: GitHistory):
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
    assert passed(unsafe) == {LOCAL: (1, 1)}


async def test_a_folder_without_a_history_is_refused_with_the_remedy(history: GitHistory):
    seen = await evaluate(home(history), Script(), "--from-repo", str(home(history)))

    assert seen.code == 1
    assert "is not a readable git repository" in seen.error
