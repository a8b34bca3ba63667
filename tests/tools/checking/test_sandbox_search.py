import pytest

from chargehand.tools.checking.sandbox_search import Backends, find_sandbox, search_sandbox

pytestmark = pytest.mark.anyio


async def test_a_working_sandbox_says_which_it_is_and_that_the_probe_failed():
    search = await find_sandbox()

    assert search.sandbox is not None
    assert search.sandbox.name.startswith("bubblewrap ")
    assert search.reason == f"{search.sandbox.name} works; its escape probe got nothing out"
    assert search.remedy is None


async def test_the_probe_runs_once_in_a_process():
    assert (await find_sandbox()).sandbox is (await find_sandbox()).sandbox


async def test_no_bubblewrap_names_the_command_that_installs_it():
    search = await search_sandbox("linux", Backends())

    assert search.sandbox is None
    assert "apt-get install bubblewrap" in (search.remedy or "")


async def test_a_program_that_is_not_bubblewrap_is_passed_over(tmp_path):
    pretender = tmp_path / "bwrap"
    pretender.write_text("#!/bin/sh\necho something else\n")
    pretender.chmod(0o755)

    search = await search_sandbox("linux", Backends([pretender, tmp_path / "missing"]))

    assert search.sandbox is None
    assert f"{pretender}: it does not say that it is bubblewrap" in search.reason


async def test_a_bubblewrap_that_isolates_nothing_is_not_used(tmp_path):
    leaky = tmp_path / "bwrap"
    leaky.write_text(LEAKY)
    leaky.chmod(0o755)

    search = await search_sandbox("linux", Backends([leaky]))

    assert search.sandbox is None
    assert str(leaky) in search.reason


@pytest.mark.parametrize(("platform", "word"), [("darwin", "macOS"), ("win32", "Windows"), ("plan9", "plan9")])
async def test_a_platform_without_a_sandbox_says_so(platform, word):
    search = await search_sandbox(platform, Backends())

    assert search.sandbox is None
    assert word in search.reason


LEAKY = """#!/bin/sh
# Says it is bubblewrap, and runs the command after `--` without it.
[ "$1" = --version ] && { echo bubblewrap 9.9.9; exit; }
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
