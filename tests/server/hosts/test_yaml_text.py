"""Edits of single keys of a YAML text that leave every other character unchanged."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.server.hosts.yaml_text import NotYaml, content, with_member, without_member

CONFIG = """\
# mine
model: x # the good one
list:
  - a: 1
    # in it
    b: "[ours]"
other:
    deep:
        c: 1

    # about work
work: |
  ours:
    command: none
"""
SCALARS = st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8)
MEMBERS = st.dictionaries(st.text(max_size=5), SCALARS | st.lists(SCALARS, max_size=3), max_size=3)
ROOTS = st.dictionaries(st.text(max_size=5), MEMBERS, max_size=3)


def test_a_new_mapping_is_appended_and_its_removal_restores_every_character():
    text = with_member(CONFIG, ["ours", "command"], "/bin/c")
    text = with_member(text, ["ours", "env", "A"], 'quoted "B"')
    text = with_member(text, ["ours", "args"], ["serve", "--http"])

    added = 'ours:\n  command: "/bin/c"\n  env:\n    A: "quoted \\"B\\""\n  args: ["serve", "--http"]\n'
    assert text == CONFIG + added
    assert with_member(text, ["ours", "command"], "d") == (CONFIG + added).replace("/bin/c", "d")


def test_a_member_goes_below_its_siblings_in_their_indentation_and_comments_stay():
    text = with_member(CONFIG, ["other", "deep2", "d"], True)

    assert text == CONFIG.replace("        c: 1\n", "        c: 1\n    deep2:\n      d: true\n")
    assert without_member(text, ["other", "deep2"]) == CONFIG
    assert with_member(CONFIG, ["model"], "y").startswith('# mine\nmodel: "y" # the good one\n')


@pytest.mark.parametrize("empty", ["ours:\nx: 1\n", "ours: {}\nx: 1\n", "ours: # none\nx: 1\n", "ours: ~\nx: 1\n"])
def test_an_empty_mapping_is_filled_and_left_empty(empty: str):
    text = with_member(empty, ["ours", "a", "b"], "c")

    assert text in ('ours:\n  a:\n    b: "c"\nx: 1\n', 'ours: # none\n  a:\n    b: "c"\nx: 1\n')
    assert content(without_member(text, ["ours", "a"])) == {"ours": {}, "x": 1}


def test_what_is_written_inline_or_shared_is_refused():
    with pytest.raises(TypeError, match="ours is written inline"):
        with_member("ours: {a: 1}\n", ["ours", "b"], 1)
    with pytest.raises(TypeError, match="ours is not a mapping"):
        with_member("ours: [a]\n", ["ours", "b"], 1)
    with pytest.raises(NotYaml):
        with_member("ours: &x\n  a: 1\nof: {<<: *x}\n---\n", ["ours", "a"], 2)


@given(ROOTS, st.sampled_from([CONFIG, CONFIG.replace("\n", "\r\n"), "", "# none\n", "ours:\n  z: 1"]))
def test_setting_and_removing_keys_is_what_it_would_be_in_a_mapping(members: dict[str, Any], before: str):
    text, expected = before, content(before)
    for table, values in members.items():
        for name, value in values.items():
            text = with_member(text, ["ours", table, name], value)
            expected.setdefault("ours", {}).setdefault(table, {})[name] = value

    assert content(text) == expected
    for table in members:
        text = without_member(text, ["ours", table])
    assert {**content(text), "ours": 0} == {**content(before), "ours": 0}
