"""Edits of single keys of a TOML text that leave every other character unchanged."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.server.hosts.toml_text import content, with_member, without_member

CONFIG = '''\
# mine
model = "x" # the good one
list = [
  # comment ]
  ["[ours]"], "]", """[ours.env]"""
]

[other.servers."a.b"]
command = "y"

# about work
[profiles.work]
text = """
[ours]
"""
'''
SCALARS = st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8)
TABLES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
ROOTS = st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), TABLES, max_size=3), max_size=3)


def test_a_new_table_follows_the_others_and_its_removal_restores_every_character():
    text = with_member(CONFIG, ["ours", "command"], "/bin/c")
    text = with_member(text, ["ours", "env", "A"], 'quoted "B"')
    text = with_member(text, ["ours", "args"], ["serve", "--http"])

    added = '\n[ours]\ncommand = "/bin/c"\nargs = ["serve", "--http"]\n\n[ours.env]\nA = "quoted \\"B\\""\n'
    assert text == CONFIG + added
    assert without_member(text, ["ours"]) == CONFIG


def test_a_table_goes_beside_its_siblings_and_what_stood_below_stays_below():
    text = with_member(CONFIG, ["other", "servers", "c", "command"], "z")

    assert text == CONFIG.replace('command = "y"\n', 'command = "y"\n\n[other.servers.c]\ncommand = "z"\n')
    assert without_member(text, ["other", "servers", "c"]) == CONFIG


def test_a_changed_value_keeps_its_comment_and_a_new_key_its_tables_style():
    assert with_member(CONFIG, ["model"], "y").startswith('# mine\nmodel = "y" # the good one\n')
    assert with_member(CONFIG, ["list"], [1]).startswith('# mine\nmodel = "x" # the good one\nlist = [1]\n\n[other')
    assert with_member("a.b.c = 1\r\n", ["a", "b", "d"], True) == "a.b.c = 1\r\na.b.d = true\r\n"
    assert with_member("[a]\n  b = 1", ["a", "c"], 2) == "[a]\n  b = 1\n  c = 2\n"


def test_the_parts_of_a_table_that_are_apart_are_all_removed():
    scattered = '[ours.env]\nA = "1"\n\n[other]\nx = 1\n\n[ours]\n# why\ncommand = "c"\n'

    assert without_member(scattered, ["ours"]) == "\n[other]\nx = 1\n"


def test_what_is_written_inline_is_refused_unless_it_already_says_so():
    inline = 'ours = { command = "c" }\n'

    assert with_member(inline, ["ours", "command"], "c") == inline
    with pytest.raises(TypeError, match=r"ours is written inline"):
        with_member(inline, ["ours", "command"], "d")
    assert without_member(inline, ["ours"]) == ""


@given(ROOTS, st.sampled_from([CONFIG, CONFIG.replace("\n", "\r\n"), "", "[ours]\n"]))
def test_setting_and_removing_keys_is_what_it_would_be_in_a_mapping(tables: dict[str, Any], before: str):
    text, expected = before, content(before)
    for table, members in tables.items():
        for name, value in members.items():
            key = ["ours", table, name]
            text = with_member(text, key, value)
            expected.setdefault("ours", {}).setdefault(table, {})[name] = value

    assert content(text) == expected
    for table in tables:
        text = without_member(text, ["ours", table])
    assert content(text).get("ours", {}) == {}
    assert {**content(text), "ours": 0} == {**content(before), "ours": 0}
