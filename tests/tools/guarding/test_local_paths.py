"""Which paths a pattern keeps on the machine."""

import unicodedata
from pathlib import Path

import pytest

from chargehand.tools.guarding.local_paths import BadPathPattern, LocalPaths

ROOT = Path("/srv/shop")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("src/billing/**", "src/billing/rates.py"),
        ("src/billing/**", "src/billing/deep/down/rates.py"),
        ("src/billing", "src/billing/rates.py"),
        ("src/billing/", "src/billing/rates.py"),
        ("./src/billing", "src/billing/rates.py"),
        ("src\\billing\\**", "src/billing/rates.py"),
        ("SRC/Billing/**", "src/billing/Rates.py"),
        ("src/billing/**", "SRC/BILLING/RATES.PY"),
        ("**/billing/**", "a/b/billing/c.py"),
        ("**/billing/**", "billing/c.py"),
        ("*.pem", "deep/down/server.pem"),
        ("rates.py", "src/billing/rates.py"),
        ("billing", "src/billing/rates.py"),
        ("src/*/rates.py", "src/billing/rates.py"),
        ("src/rate?.py", "src/rates.py"),
        ("src/[id].py", "src/[id].py"),
        ("src/straße/**", "src/STRASSE/a.py"),
        ("src/café/**", "src/" + unicodedata.normalize("NFD", "café") + "/a.py"),
        ("src/billing/**", "src/bill\u200bing/rates.py"),
        ("src/billing/**", "src/billing./rates.py"),
        ("src/rates.py", "src/rates.py::$DATA"),
        ("**", "anything/at.all"),
    ],
)
def test_a_path_that_a_pattern_means_stays(pattern: str, path: str):
    assert LocalPaths(("docs/never.md", pattern)).matching(ROOT / path, [ROOT]) == pattern


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("src/billing/**", "src/billing_api/rates.py"),
        ("src/billing/**", "other/src/billing/rates.py"),
        ("src/*.py", "src/deep/a.py"),
        ("src/rate?.py", "src/rate.py"),
        ("*.pem", "server.pem.txt"),
    ],
)
def test_a_path_that_no_pattern_means_may_leave(pattern: str, path: str):
    assert LocalPaths((pattern,)).matching(ROOT / path, [ROOT]) is None


def test_a_file_is_seen_from_each_root_it_lies_below():
    paths = LocalPaths(("src/billing/**",))

    assert paths.matching(ROOT / "src/billing/a.py", [ROOT / "src", ROOT]) == "src/billing/**"
    assert paths.matching(ROOT / "lib/src/billing/a.py", [ROOT, ROOT / "lib"]) == "src/billing/**"
    assert paths.matching(Path("/elsewhere/src/billing/a.py"), [ROOT]) is None


@pytest.mark.parametrize("pattern", ["", " ", "/", "/abs/**", "~/x", "../x", "a/../b", "C:\\x", "!a", "."])
def test_a_pattern_that_can_mean_nothing_below_a_root_is_refused(pattern: str):
    with pytest.raises(BadPathPattern):
        LocalPaths((pattern,))
