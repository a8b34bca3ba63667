"""Patterns of paths that stay on the machine."""

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
def test_paths_that_match_a_pattern_are_local(pattern: str, path: str):
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
def test_paths_that_match_no_pattern_are_not_local(pattern: str, path: str):
    assert LocalPaths((pattern,)).matching(ROOT / path, [ROOT]) is None


def test_patterns_apply_relative_to_each_root_above_the_file():
    paths = LocalPaths(("src/billing/**",))

    assert paths.matching(ROOT / "src/billing/a.py", [ROOT / "src", ROOT]) == "src/billing/**"
    assert paths.matching(ROOT / "lib/src/billing/a.py", [ROOT, ROOT / "lib"]) == "src/billing/**"
    assert paths.matching(Path("/elsewhere/src/billing/a.py"), [ROOT]) is None


@pytest.mark.parametrize("pattern", ["", " ", "/", "/abs/**", "~/x", "../x", "a/../b", "C:\\x", "!a", "."])
def test_patterns_that_cannot_match_below_a_root_are_refused(pattern: str):
    with pytest.raises(BadPathPattern):
        LocalPaths((pattern,))
