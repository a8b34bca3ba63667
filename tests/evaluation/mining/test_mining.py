"""Tasks mined from git histories; each is proved in the real sandbox."""

from pathlib import Path

import pytest
from histories import ROUNDED, ROUNDED_TESTS, ROUNDING, TOTAL, TOTAL_TESTS, GitHistory, shop_history

from chargehand.evaluation.mining.errors import HistoryUnreadable
from chargehand.evaluation.mining.mining import Extent, Mined, mine
from chargehand.evaluation.mining.output import summary_lines
from chargehand.evaluation.suite.proof import prove
from chargehand.tools.checking.sandbox_search import find_sandbox

pytestmark = pytest.mark.anyio


async def mine_history(history: GitHistory, **extent) -> Mined:
    return await mine(history.folder, Extent(**extent), find_sandbox)


async def test_a_commit_that_changes_code_and_its_test_becomes_a_task(tmp_path: Path):
    history = shop_history(tmp_path / "shop")

    mined = await mine_history(history)

    (task,) = mined.tasks
    assert task.id == (history.head or "")[:12]
    assert (task.target, task.shown, task.tests) == ("shop/total.py", ("shop/total.py",), "tests/test_total.py")
    assert task.files == {"shop/__init__.py": "", "shop/total.py": TOTAL, "tests/test_total.py": ROUNDED_TESTS}
    assert (await prove(task)).verdict == "proved"


async def test_the_prompt_is_the_commit_message_without_trailers_or_solution(tmp_path: Path):
    (task,) = (await mine_history(shop_history(tmp_path / "shop"))).tasks

    assert task.prompt == (
        "Make this change to the project:\n\nRound totals to cents\n\nSums of floats showed 17 digits.\n\n"
        "Change `shop/total.py`. The tests are there already."
    )


async def test_the_prompt_names_the_interface_and_the_texts_that_tests_require_of_new_code(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    history.commit(
        "Give discounts on totals of many things",
        {
            "shop/discount.py": "def discounted(prices, *, share):\n"
            '    return [p * (1 - share) for p in prices] or "none"\n',
            "tests/test_discount.py": "from shop.discount import discounted\n\n\ndef test_it():\n"
            '    assert discounted([10], share=0.5) == [5]\n    assert discounted([], share=0.1) == "none"\n',
        },
    )

    (task,) = (await mine_history(history, commits=1)).tasks

    assert "Add `shop/discount.py`." in task.prompt
    assert "- in `shop/discount.py`: `discounted(…, share=…)`, `share`" in task.prompt
    assert "'none'" in task.prompt
    assert "1 - share" not in task.prompt
    assert task.shown == ()


async def test_the_wrong_answers_of_a_task_are_insufficient_parts_of_its_commit(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    history.commit(
        "Say totals in euros and in cents",
        {
            "shop/total.py": ROUNDED + "\n\ndef euros(prices):\n    return f'{total(prices):.2f} €'\n",
            "shop/cents.py": "def cents(prices):\n    return round(100 * sum(prices))\n",
            "tests/test_total.py": "from shop.cents import cents\nfrom shop.total import euros\n\n\n"
            "def test_both():\n    assert (cents([1.5]), euros([1.5])) == (150, '1.50 €')\n",
        },
    )

    (task,) = (await mine_history(history, commits=1)).tasks

    assert task.slips == ("changes nothing", "leaves out shop/cents.py", "leaves out shop/total.py")


async def test_commits_that_become_no_tasks_are_counted_by_reason(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    first = history.commit("Sell things", {"shop/total.py": TOTAL, "test_total.py": TOTAL_TESTS})
    rounded = {"shop/total.py": ROUNDED, "test_total.py": ROUNDED_TESTS}
    unrounded = {"shop/total.py": TOTAL, "test_total.py": TOTAL_TESTS}
    history.commit("wip on the rounding", rounded)
    history.commit('Revert "wip on the rounding"', unrounded)
    history.commit("Speak of rounding in code alone", {"shop/total.py": ROUNDED})
    history.commit("Test the rounding of totals", {"test_total.py": ROUNDED_TESTS})
    history.commit("Bring the branches together", {}, merged=first)
    history.commit("Reword what totals are", {"shop/total.py": f"# Totals.\n{ROUNDED}", "test_total.py": TOTAL_TESTS})
    history.commit("Expect what nobody does", {"shop/total.py": TOTAL, "test_total.py": ROUNDED_TESTS})
    history.commit(
        "Count with somebody's package",
        {"shop/total.py": ROUNDED, "test_total.py": f"import surely_not_installed\n{ROUNDED_TESTS}"},
    )
    history.commit(
        "Move totals to another module", {"shop/total.py": None, "shop/sums.py": ROUNDED, "test_total.py": "x = 1"}
    )

    mined = await mine_history(history)

    assert mined.tasks == ()
    assert dict(mined.reasons) == {
        "a merge": 1,
        "the first commit": 1,
        "a revert": 1,
        "its message states no intent": 1,
        "no Python source": 2,
        "no test file": 1,
        "needs a package": 1,
        "its own tests fail": 1,
        "its tests pass before it": 1,
    }
    lines = list(summary_lines(mined, has_packages=False))
    assert lines[0] == f"shop at {mined.head[:12]}: 0 of 10 commits became tasks."
    assert "surely_not_installed" in lines[-1]
    assert "--python" in lines[-1]


async def test_the_limits_on_commits_tasks_and_age_are_respected(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    for digits in (3, 4, 5):
        history.commit(
            f"Round totals to {digits} digits",
            {
                "shop/total.py": TOTAL.replace("sum(prices)", f"round(sum(prices), {digits})"),
                "tests/test_total.py": f"from shop.total import total\n\n\ndef test_it():\n"
                f"    assert total([{1 / 3}]) == {round(1 / 3, digits)}\n",
            },
        )

    newest = await mine_history(history, commits=2)
    single = await mine_history(history, tasks=1)
    recent = await mine_history(history, since_s=1_700_000_000 + 3.5 * 3600)

    assert [len(newest.tasks), newest.looked_at] == [2, 2]
    assert [len(single.tasks), single.looked_at, single.unproved] == [1, 5, 3]
    assert [task.id for task in recent.tasks] == [(history.head or "")[:12]]


async def test_a_tasks_check_leaves_out_tests_of_the_same_file_that_cannot_pass(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    failing_test = "def test_wants_a_network():\n    assert False\n\n\n"
    history.commit("Sell things", {"shop/__init__.py": "", "shop/total.py": TOTAL, "test_total.py": failing_test})
    history.commit(ROUNDING, {"shop/total.py": ROUNDED, "test_total.py": failing_test + ROUNDED_TESTS})

    (task,) = (await mine_history(history)).tasks

    assert task.tests.splitlines() == ["test_total.py::test_total", "test_total.py::test_cents"]


async def test_a_package_in_a_folder_of_another_name_is_imported_under_its_configured_name(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    project = '[tool.setuptools.package-dir]\n"store.money" = "money"\n'
    tests = "from store.money.total import total\nfrom store.money import NAME\n\n\ndef test_it():\n"
    history.commit(
        "Sell things",
        {"pyproject.toml": project, "money/__init__.py": "NAME = 'money'\n", "money/total.py": TOTAL, "test_it.py": ""},
    )
    history.commit(
        ROUNDING,
        {"money/total.py": ROUNDED, "test_it.py": f"{tests}    assert (NAME, total([0.1, 0.2])) == ('money', 0.3)\n"},
    )

    (task,) = (await mine_history(history)).tasks

    assert task.target == "money/total.py"


@pytest.mark.parametrize("bare", [False, True])
async def test_bare_and_ordinary_clones_give_the_same_task(tmp_path: Path, *, bare: bool):
    history = shop_history(tmp_path / "shop")
    history.git("clone", "--quiet", *(["--bare"] if bare else []), str(history.folder), str(tmp_path / "clone"))

    mined = await mine(tmp_path / "clone", Extent(), find_sandbox)

    assert [task.id for task in mined.tasks] == [(history.head or "")[:12]]


async def test_files_missing_from_a_partial_clone_are_distinguished_from_files_that_are_not_text(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    history.commit(
        "Name the shop in its own letters", {"shop/name.py": b"NAME = '\xe9'\n", "tests/test_name.py": "1\n"}
    )
    history.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    history.git("clone", "--quiet", "--filter=blob:none", "--no-checkout", history.folder.as_uri(), str(clone))

    complete, partial = [await mine(folder, Extent(), find_sandbox) for folder in (history.folder, clone)]

    assert complete.reasons == {"the first commit": 1, "not text": 1}
    assert partial.reasons == {"the first commit": 1, "not in the clone": 2}
    assert any("without --filter" in line for line in summary_lines(partial, has_packages=False))


async def test_a_repository_with_sha256_ids_gives_the_same_task(tmp_path: Path):
    sha1, sha256 = (shop_history(tmp_path / name, name) for name in ("sha1", "sha256"))

    (task,), (other,) = (await mine_history(sha1)).tasks, (await mine_history(sha256)).tasks

    assert len(sha256.head or "") == 64
    assert (task.prompt, task.files) == (other.prompt, other.files)


async def test_a_task_mined_in_a_worktree_has_the_folders_of_both_worktrees(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    history.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))

    (task,) = (await mine(tmp_path / "other" / "shop", Extent(), find_sandbox)).tasks

    assert task.origin is not None
    assert task.origin.project_folders == (tmp_path / "other", tmp_path / "shop")
    assert task.origin.touched == ("shop/total.py", "tests/test_total.py")


async def test_folders_without_a_complete_history_are_refused_with_the_remedy(tmp_path: Path):
    (tmp_path / "plain").mkdir()
    empty = GitHistory.at(tmp_path / "empty")
    history = shop_history(tmp_path / "shop")
    history.git("clone", "--quiet", "--depth=1", history.folder.as_uri(), str(tmp_path / "shallow"))
    for path, remedy in (
        (tmp_path / "nowhere", "not a folder"),
        (tmp_path / "plain", "Name a folder where `git log` works"),
        (empty.folder, "no commit yet"),
        (tmp_path / "shallow", "git fetch --unshallow"),
    ):
        with pytest.raises(HistoryUnreadable, match=remedy):
            await mine(path, Extent(), find_sandbox)
