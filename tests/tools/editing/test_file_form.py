"""Bytes to text and back: encoding, byte order mark and line endings are preserved."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.tools.editing.file_form import NotText, NotWritable, in_form_of, read_text

BOM = codecs.BOM_UTF16_LE


def replace_text(data: bytes, old: str, new: str) -> bytes:
    """The bytes of the file after a replacement in its text."""
    original = read_text(data)
    assert old in original.text
    return in_form_of(original.text.replace(old, new), original)


@pytest.mark.parametrize(
    ("data", "old", "new", "expected"),
    [
        pytest.param(b"a\nb\n", "b", "c", b"a\nc\n", id="unix"),
        pytest.param(b"a\r\nb\r\n", "b", "c\nd", b"a\r\nc\r\nd\r\n", id="windows"),
        pytest.param(b"a\rb\r", "b", "c", b"a\rc\r", id="old-mac"),
        pytest.param(b"a\nb", "b", "c", b"a\nc", id="no-final-newline"),
        pytest.param(b"a\nb\r\nc\n", "a", "A\nB", b"A\nB\nb\r\nc\n", id="mixed-line-ends"),
        pytest.param(codecs.BOM_UTF8 + b"a\r\n", "a", "\u03c0", codecs.BOM_UTF8 + b"\xcf\x80\r\n", id="utf-8-bom"),
        pytest.param(BOM + b"a\0\r\0\n\0", "a", "\u03c0", BOM + b"\xc0\x03\r\0\n\0", id="utf-16-le"),
        pytest.param("\ufeffa\n".encode("utf-16-be"), "a", "b", "\ufeffb\n".encode("utf-16-be"), id="utf-16-be"),
        pytest.param(b"caf\xe9 \x93x\x94\nb\n", "b", "\u00fc", b"caf\xe9 \x93x\x94\n\xfc\n", id="cp1252"),
        pytest.param(b"caf\xe9 \x81\nb\n", "b", "c", b"caf\xe9 \x81\nc\n", id="latin-1"),
        pytest.param(
            b"# -*- coding: euc-jp -*-\n" + "\u65e5\u672c\nb\n".encode("euc-jp"), "b", "\u8a9e",
            b"# -*- coding: euc-jp -*-\n" + "\u65e5\u672c\n\u8a9e\n".encode("euc-jp"), id="declared",
        ),
        pytest.param(b"# coding: nothing\n\xe9\n", "\u00e9", "e", b"# coding: nothing\ne\n", id="declared-wrong"),
        pytest.param(b"a\n\x0c\nb\xe2\x80\x8b\nc\n", "a", "A", b"A\n\x0c\nb\xe2\x80\x8b\nc\n", id="unseen-characters"),
    ],
)  # fmt: skip
def test_unchanged_text_keeps_its_encoding_bom_and_line_endings(data: bytes, old: str, new: str, expected: bytes):
    assert replace_text(data, old, new) == expected


def test_a_line_returned_without_its_invisible_characters_counts_as_unchanged():
    original = read_text(b"a\n\x0c\ndef f():\r\n    pass\n")

    assert in_form_of("a\n\ndef f():\n    return 1\n", original) == b"a\n\x0c\ndef f():\r\n    return 1\n"


@pytest.mark.parametrize(("before", "after"), [(b"a\n", b"b\n"), (b"a", b"b"), (b"", b"b\n")])
def test_the_final_line_ending_of_the_file_is_kept(before: bytes, after: bytes):
    assert in_form_of("b\n", read_text(before)) == after
    if before:
        assert in_form_of("b", read_text(before)) == after


def test_a_new_file_is_written_as_utf_8():
    assert in_form_of("\u03c0\n", None) == b"\xcf\x80\n"


def test_a_character_missing_in_the_encoding_is_reported_with_its_line():
    original = read_text(b"caf\xe9\n")

    with pytest.raises(NotWritable, match="line 2: '\u2192' cannot be written in the file's encoding, cp1252"):
        in_form_of("caf\u00e9\n\u2192\n", original)


@pytest.mark.parametrize("data", [b"\x7fELF\0", b"GIF89a\x01\x00", codecs.BOM_UTF16_LE + b"\x00\xd8", b"\xff\x01\x02"])
def test_binary_data_is_not_text(data: bytes):
    with pytest.raises(NotText):
        read_text(data)


@given(st.binary(max_size=300))
def test_text_of_any_bytes_is_written_back_unchanged(data: bytes):
    try:
        original = read_text(data)
    except NotText:
        return

    assert in_form_of(original.text, original) == data


@given(
    st.lists(st.sampled_from([b"a\n", b"a\r\n", b"b\r", b"\xe9\n", b"\x0c\r\n", b"c\n", b"\n"]), max_size=12), st.data()
)
def test_all_lines_except_the_changed_one_keep_their_bytes(lines: list[bytes], data: st.DataObject):
    position = data.draw(st.integers(0, len(lines)))
    before = b"".join([*lines[:position], b"old\n", *lines[position:]])
    original = read_text(before)

    after = in_form_of(original.text.replace("old", "new"), original)

    head, tail = b"".join(lines[:position]), b"".join(lines[position:])
    assert after.startswith(head + b"new")
    assert after.endswith(tail)
    assert after[len(head) + 3 : len(after) - len(tail)] in (b"\n", b"\r\n", b"\r")
