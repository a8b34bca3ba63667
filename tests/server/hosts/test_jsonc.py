"""Edits of single members of a JSON text that leave every other character unchanged."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.server.hosts.jsonc import NotJson, parse, with_element, with_member, without_element, without_member

SETTINGS = """\
// Zed settings
{
    "theme": "One Dark", // the dark one
    /* fonts */
    "buffer_font_size": 15,
    "context_servers": {
        "other": {"command": "x", "args": [],}, // theirs
    },
}
"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
INDENTS = st.sampled_from([None, 0, 2, 4, "\t"])


def test_adding_a_member_keeps_every_existing_line():
    after = with_member(SETTINGS, ["context_servers", "chargehand"], {"command": "/bin/c", "args": []})

    assert [line for line in SETTINGS.splitlines() if line not in after.splitlines()] == []
    assert parse(after).value["context_servers"] == {
        "other": {"command": "x", "args": []},
        "chargehand": {"command": "/bin/c", "args": []},
    }
    assert '        "chargehand": {\n            "command": "/bin/c",\n' in after


def test_removing_an_added_member_restores_the_text_exactly():
    after = with_member(SETTINGS, ["context_servers", "chargehand"], {"command": "/bin/c"})

    assert without_member(after, ["context_servers", "chargehand"]) == SETTINGS


def test_a_comment_stays_on_the_line_of_its_member():
    after = with_member('{\n  "a": 1 // one\n}\n', ["b"], 2)

    assert after == '{\n  "a": 1, // one\n  "b": 2\n}\n'


def test_a_closing_bracket_between_comments_is_found():
    text = '{"a": 1 /* one */ } /* two */\n'

    assert parse(with_member(text, ["b"], 2)).value == {"a": 1, "b": 2}


def test_missing_parent_objects_are_created():
    assert parse(with_member("{}", ["a", "b", "c"], 1)).value == {"a": {"b": {"c": 1}}}


def test_windows_line_endings_are_kept():
    after = with_member('{\r\n  "a": 1\r\n}\r\n', ["b"], {"c": 2})

    assert "\n" not in after.replace("\r\n", "")


@given(OBJECTS, INDENTS, st.text(max_size=5), VALUES)
def test_any_member_can_be_added_to_and_removed_from_any_object(
    original: dict[str, object], indent: int | str | None, name: str, value: object
):
    text = json.dumps(original, indent=indent)

    after = with_member(text, [name], value)

    assert json.loads(after) == {**original, name: value}
    assert json.loads(without_member(after, [name])) == {k: v for k, v in original.items() if k != name}
    assert with_member(after, [name], value) == after


@given(st.lists(VALUES, max_size=4), INDENTS, VALUES)
def test_any_element_can_be_added_to_and_removed_from_any_array(
    original: list[object], indent: int | str | None, value: object
):
    text = json.dumps({"a": original}, indent=indent)

    after = with_element(text, ["a"], value)

    assert json.loads(after) == {"a": [*original, value]}
    assert json.loads(without_element(after, ["a"], len(original))) == {"a": original}


@given(OBJECTS, st.lists(st.sampled_from(["// one\n", "/* two */", "/* three\n*/"]), max_size=6), st.data())
def test_no_comment_is_lost_at_any_position(original: dict[str, object], comments: list[str], data: st.DataObject):
    text = json.dumps(original, indent=2)
    lines = text.split("\n")
    for comment in comments:
        lines.insert(data.draw(st.integers(0, len(lines))), comment.rstrip("\n"))
    text = "\n".join(lines)

    after = with_member(text, ["chargehand-new"], {"command": "x"})

    assert parse(after).value == {**original, "chargehand-new": {"command": "x"}}
    for comment in comments:
        assert after.count(comment.rstrip("\n")) == text.count(comment.rstrip("\n"))
    assert parse(without_member(after, ["chargehand-new"])).value == original


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("{", "line 1, column 2: a string in double quotes is missing"),
        ('{"a": 1 "b": 2}', "line 1, column 9: a comma or } is missing"),
        ('{\n  "a" 1}', "line 2, column 7: a colon is missing"),
        ('{"a": }', "line 1, column 7: a value is missing"),
        ("[1, 2", "line 1, column 6: a comma or ] is missing"),
        ("{} x", "line 1, column 4: there is text after the end"),
        ("{'a': 1}", "line 1, column 2: a string in double quotes is missing"),
        ('{"a": "\\x"}', "line 1, column 7: a string contains an unknown escape"),
    ],
)
def test_invalid_json_is_reported_with_line_and_column(text: str, position: str):
    with pytest.raises(NotJson, match=re.escape(position)):
        with_member(text, ["x"], 1)


def test_a_path_through_a_value_that_is_not_an_object_is_refused():
    with pytest.raises(TypeError, match="mcpServers is not an object"):
        with_member('{"mcpServers": []}', ["mcpServers", "chargehand"], {})
