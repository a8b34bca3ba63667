"""The search for a sandbox on this machine, and its reasons and remedies."""

import pytest

from chargehand.tools.checking.sandbox_search import Backends, find_sandbox, search_sandbox

pytestmark = pytest.mark.anyio


async def test_a_working_sandbox_reports_its_name_and_a_passed_escape_probe():
    search = await find_sandbox()

    assert search.sandbox is not None
    assert search.sandbox.name.startswith("bubblewrap ")
    assert search.reason == f"{search.sandbox.name} works; its escape probe got nothing out"
    assert search.remedy is None


async def test_the_sandbox_is_searched_once_per_process():
    assert (await find_sandbox()).sandbox is (await find_sandbox()).sandbox


async def test_without_bubblewrap_the_remedy_is_the_install_command():
    search = await search_sandbox("linux", Backends())

    assert search.sandbox is None
    assert "apt-get install bubblewrap" in (search.remedy or "")


async def test_in_a_container_the_remedy_is_how_to_start_it(tmp_path):
    search = await search_sandbox("linux", Backends([tmp_path / "bwrap"], in_container=True))

    assert "--security-opt systempaths=unconfined" in (search.remedy or "")
    assert "install bubblewrap" not in (search.remedy or "")


async def test_a_program_that_is_not_bubblewrap_is_skipped_with_the_reason(tmp_path):
    fake_bwrap = tmp_path / "bwrap"
    fake_bwrap.write_text("#!/bin/sh\necho something else\n")
    fake_bwrap.chmod(0o755)

    search = await search_sandbox("linux", Backends([fake_bwrap, tmp_path / "missing"]))

    assert search.sandbox is None
    assert f"{fake_bwrap}: it does not say that it is bubblewrap" in search.reason


async def test_a_bubblewrap_that_isolates_nothing_is_refused(tmp_path):
    leaking_bwrap = tmp_path / "bwrap"
    leaking_bwrap.write_text(LEAKY)
    leaking_bwrap.chmod(0o755)

    search = await search_sandbox("linux", Backends([leaking_bwrap]))

    assert search.sandbox is None
    assert str(leaking_bwrap) in search.reason


@pytest.mark.parametrize(
    ("platform", "name_in_reason"), [("darwin", "macOS"), ("win32", "Windows"), ("plan9", "plan9")]
)
async def test_a_platform_without_a_sandbox_is_named_in_the_reason(platform, name_in_reason):
    search = await search_sandbox(platform, Backends())

    assert search.sandbox is None
    assert name_in_reason in search.reason


LEAKY = """#!/bin/sh
# Says it is bubblewrap, and runs the command after `--` without it.
[ "$1" = --version ] && { echo bubblewrap 9.9.9; exit; }
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
