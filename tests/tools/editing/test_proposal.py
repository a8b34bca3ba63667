"""The files proposed by an answer, and the failures reported when a change cannot be placed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replies import A_FIXED, CHANGES_OF_OTHER_FILES, CURRENT, FIXES_OF_THE_TARGET, TARGET, UNPLACEABLE

from chargehand.tools.editing.answer import Answer, read_answer
from chargehand.tools.editing.proposal import ProposedFiles, new_path, propose
from chargehand.tools.editing.reply_changes import Edit, Part


def _propose(reply: str, target: str | None = TARGET) -> ProposedFiles:
    return propose(read_answer(reply, prose=False), CURRENT, target)


@pytest.mark.parametrize("reply", FIXES_OF_THE_TARGET.values(), ids=FIXES_OF_THE_TARGET)
def test_a_fix_of_the_target_is_placed_in_every_answer_form(reply: str):
    proposal = _propose(reply)

    assert proposal.failures == ()
    assert proposal.texts == {TARGET: A_FIXED}


@pytest.mark.parametrize(("reply", "texts"), CHANGES_OF_OTHER_FILES.values(), ids=CHANGES_OF_OTHER_FILES)
def test_other_files_are_changed_by_their_paths(reply: str, texts: dict[str, str]):
    proposal = _propose(reply)

    assert proposal.failures == ()
    assert proposal.texts == texts


@pytest.mark.parametrize(("reply", "stated"), UNPLACEABLE.values(), ids=UNPLACEABLE)
def test_a_change_that_cannot_be_placed_changes_nothing_and_states_why(reply: str, stated: str):
    proposal = _propose(reply)

    assert proposal.texts == {}
    assert stated in "\n".join(proposal.failures)


def test_an_edit_with_an_empty_search_fills_an_empty_file():
    proposal = propose(_edits(Edit("x.py", "", "a = 1\n")), {"x.py": ""}, None)

    assert (proposal.failures, proposal.texts) == ((), {"x.py": "a = 1\n"})


FENCED = {
    name: reply for name, reply in FIXES_OF_THE_TARGET.items() if "```" in reply or "~~~" in reply or "<file" in reply
}


@pytest.mark.parametrize("reply", FENCED.values(), ids=FENCED)
def test_an_answer_truncated_at_any_position_is_never_partly_applied(reply: str):
    proposals = [_propose(reply[:length]) for length in range(len(reply))]

    for proposal in proposals:
        assert proposal.failures or proposal.texts == {TARGET: A_FIXED} or proposal.texts == {}


def test_a_search_that_matches_several_places_fails_with_their_lines():
    text = "a = 1\nb = 2\na = 1\n"

    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 3\n")), {"x.py": text}, None)

    assert proposal == ProposedFiles(
        {},
        (
            "`x.py`: the text to search that begins with `a = 1` occurs in 2 places (lines 1, 3)."
            " Include more lines around it.",
        ),
    )


def test_a_search_that_matches_several_places_apart_from_whitespace_fails():
    proposal = propose(_edits(Edit(None, "  a = 1\n", "  a = 3\n")), {"x.py": "a = 1\n    a = 1\n"}, None)

    assert proposal.texts == {}
    assert "occurs in 2 places (lines 1, 2)" in proposal.failures[0]


def test_an_exact_match_is_preferred_to_matches_apart_from_whitespace():
    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 3\n")), {"x.py": "a = 1\n    a = 1\n"}, None)

    assert proposal.texts == {"x.py": "a = 3\n    a = 1\n"}


def test_a_search_matches_only_whole_lines():
    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 2\n")), {"x.py": "aa = 1\na = 11\n"}, None)

    assert proposal.texts == {}


@pytest.mark.parametrize(
    ("text", "search", "replace", "expected"),
    [
        (
            "def f():\n    a\n    b\n",
            "a\nb\n",
            "a\nif a:\n    c\nb\n",
            "def f():\n    a\n    if a:\n        c\n    b\n",
        ),
        ("def f():\n    a\n    b\n", "        a\n", "        c\n", "def f():\n    c\n    b\n"),
        ("def f():\n\ta\n\tb\n", "    a\n    b\n", "    if a:\n        b\n", "def f():\n\tif a:\n\t\tb\n"),
        ("f {\n  a\n  b\n}\n", "\ta\n\tb\n", "\ta\n\tif (a) {\n\t\tb\n\t}\n", "f {\n  a\n  if (a) {\n    b\n  }\n}\n"),
        ("a  \nb\t\nc\n", "a\nb\nc\n", "a\nx\nc\n", "a  \nx\nc\n"),
        ("a\n\nb\n", "a\n   \nb\n", "a\n   \nc\n", "a\n\nc\n"),
        ("a\x0c\nb\n", "a\nb\n", "a\nc\n", "a\x0c\nc\n"),
        ("a\n  b\n  c\n", "a\nb\nc\n", "a\nb\nd\n", None),
        ("a\n  b\n", "    a\n      b\n", "  c\n", None),
    ],
    ids=[
        "too far left",
        "too far right",
        "spaces for tabs",
        "tabs for two spaces",
        "trailing blanks stay where nothing is changed",
        "blank lines",
        "what cannot be seen",
        "two indentations at once",
        "left of the margin",
    ],
)
def test_replacements_take_on_the_indentation_of_the_file(text: str, search: str, replace: str, expected: str | None):
    proposal = propose(_edits(Edit(None, search, replace)), {"x": text}, None)

    assert proposal.texts == ({} if expected is None else {"x": expected})
    assert (proposal.failures == ()) == (expected is not None)


def test_no_edit_is_applied_when_one_of_several_cannot_be_placed():
    proposal = propose(_edits(Edit("a", "1\n", "2\n"), Edit("b", "3\n", "4\n")), {"a": "1\n", "b": "1\n"}, None)

    assert proposal.texts == {}
    assert len(proposal.failures) == 1


def test_a_block_without_a_path_is_not_placed_without_a_target():
    assert "which file it is" in _propose("```python\nx = 1\n```", None).failures[0]


def test_an_edit_without_a_path_is_placed_without_a_target_if_there_is_only_one_file():
    answer = _edits(Edit(None, "1\n", "2\n"))

    assert propose(answer, {"a": "1\n"}, None).texts == {"a": "2\n"}
    assert "which file it is for" in propose(answer, {"a": "1\n", "b": "1\n"}, None).failures[0]


def test_a_target_that_does_not_exist_is_created():
    answer = read_answer("```python\nx = 1\n```", prose=False)

    assert propose(answer, {}, "src/new.py").texts == {"src/new.py": "x = 1\n"}


def test_the_target_gets_the_block_in_its_language():
    reply = "```yaml\na: 1\n```\nRead it so:\n```python\nimport yaml\n\nprint(yaml.safe_load(open('a.yaml')))\n```"

    assert propose(read_answer(reply, prose=False), {}, "a.yaml").texts == {"a.yaml": "a: 1\n"}


@pytest.mark.parametrize(
    ("target", "reply"),
    [
        ("q.sql", "Run it:\n\n```bash\npsql -f q.sql\n```\n"),
        ("style.css", "```html\n<p>x</p>\n```\n"),
        ("a.py", "Do it in bash:\n```bash\nrm -rf build\n```\n"),
        ("README.md", "Use it so:\n\n```python\nadd(1, 2)\n```\n\nMore text.\n"),
        ("docs/usage.rst", "# Usage\n\n```python\nadd(1, 2)\n```\n"),
        ("notes.txt", "Some notes.\n\n```python\nadd(1, 2)\n```\n"),
    ],
)
def test_a_block_in_another_language_is_not_taken_as_the_target(target: str, reply: str):
    proposal = propose(read_answer(reply, prose=False), {target: "as it was\n"}, target)

    assert proposal.texts == {}
    assert f"`{target}`: no block is this file" in proposal.failures[0]
    assert "write its path before it" in proposal.failures[0]


@pytest.mark.parametrize(
    ("target", "tag"),
    {
        "a.ts": "javascript",
        "a.js": "typescript",
        "a.tsx": "jsx",
        "a.h": "cpp",
        "a.yml": "yaml",
        "deploy.sh": "bash",
        "q.sql": "postgresql",
        "App.vue": "html",
        "README.md": "",
        "requirements.txt": "text",
    }.items(),
)
def test_a_block_in_a_related_or_unknown_language_is_taken_as_the_target(target: str, tag: str):
    answer = read_answer(f"Here it is.\n\n```{tag}\nx\n```\n", prose=False)

    assert propose(answer, {}, target).texts == {target: "x\n"}


def test_a_reply_that_is_a_markdown_file_is_taken_as_the_target_with_its_examples():
    document = "# Project\n\nNew text.\n\n```python\nfrom x import add\nadd(1, 2)\n```\n\nMore text.\n"

    answer = read_answer(document, prose=False)

    assert propose(answer, {}, "README.md").texts == {"README.md": document}
    assert propose(answer, {"README.md": "# Project\n\nOld.\n"}, "README.md").texts == {"README.md": document}


def test_a_report_about_a_change_does_not_replace_a_markdown_target():
    answer = read_answer("# Changes\n\nI added an example:\n\n```python\nadd(1, 2)\n```\n", prose=False)
    proposal = propose(answer, {"README.md": "# Project\n\nOld.\n"}, "README.md")

    assert proposal.texts == {}
    assert "no block is this file: the answer has only python" in proposal.failures[0]


def test_several_blocks_without_a_path_are_joined_to_one_file():
    reply = "```python\nx = 1\n```\nand\n```python\ny = 2\n```"

    assert propose(read_answer(reply, prose=False), {}, "a.py").texts == {"a.py": "x = 1\n\ny = 2\n"}


def test_code_without_a_path_beside_files_is_left_out_and_noted():
    proposal = _propose(f"src/shapes.py\n```python\n{A_FIXED}```\nUse:\n```python\nprint(area(1))\n```")

    assert proposal.texts == {TARGET: A_FIXED}
    assert proposal.notes == ("left out: 1 lines of code without a path",)


@pytest.mark.parametrize("named", ["/home/me/project/src/a.py", "./src/a.py", "src/a.py"])
@pytest.mark.parametrize("stated", ["src/a.py", "a.py", "./src/a.py"])
def test_a_path_means_the_callers_only_file_that_ends_with_it(named: str, stated: str):
    answer = Answer("x", None, is_whole=True, parts=(Part(stated, None, "x = 2\n"),))

    assert propose(answer, {named: "x = 1\n", "src/b.py": ""}, None).texts == {named: "x = 2\n"}


def test_a_path_that_matches_two_of_the_callers_files_fails():
    answer = Answer("x", None, is_whole=True, parts=(Part("a.py", None, "x = 2\n"),))

    assert propose(answer, {"one/a.py": "", "two/a.py": ""}, None).failures == (
        "`a.py`: could be any of `one/a.py`, `two/a.py`. Write the whole path.",
    )


def test_a_file_of_the_same_name_in_another_folder_is_a_new_file():
    answer = Answer("x", None, is_whole=True, parts=(Part("new/__init__.py", None, "x = 2\n"),))

    assert propose(answer, {"__init__.py": "x = 1\n"}, None).texts == {"new/__init__.py": "x = 2\n"}


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_final_line_ending_of_a_file_is_kept(end: str):
    whole_file = Answer("x", None, is_whole=True, parts=(Part("a", None, "x\ny\n"),))
    edit = _edits(Edit("a", "x\n", "y\n"))

    assert propose(whole_file, {"a": f"x{end}"}, None).texts == {"a": f"x\ny{end}"}
    assert propose(edit, {"a": f"x{end}"}, None).texts == {"a": f"y{end}"}


def test_a_comment_with_the_path_is_kept_only_if_the_file_had_it():
    reply = "```python\n# src/a.py\nx = 2\n```"
    answer = read_answer(reply, prose=False)

    assert propose(answer, {"src/a.py": "# src/a.py\nx = 1\n"}, None).texts == {"src/a.py": "# src/a.py\nx = 2\n"}
    assert propose(answer, {"src/a.py": "x = 1\n"}, None).texts == {"src/a.py": "x = 2\n"}


def test_definitions_moved_to_another_file_of_the_answer_do_not_count_as_lost():
    moved = "class Circle:\n    def __init__(self, r):\n        self.r = r\n\n    def area(self):\n        return 1\n"
    reply = f"src/shapes.py\n```python\ndef area(r):\n    return 3\n```\nsrc/circle.py\n```python\n{moved}```\n"

    assert set(_propose(reply).texts) == {"src/shapes.py", "src/circle.py"}


def test_a_fragment_of_a_file_without_definitions_is_not_taken_as_the_whole_file():
    lines = [f"key_{number}: {number}\n" for number in range(100)]
    answer = Answer("x", None, is_whole=True, parts=(Part("a.yaml", None, "".join(lines[:5]) + "new: 1\n"),))

    assert propose(answer, {"a.yaml": "".join(lines)}, None).failures == (
        "`a.yaml`: given as a whole file, but it is only a piece: 94 of its 100 lines would be lost."
        " Give the whole file, or change it with search/replace blocks.",
    )


def test_a_long_search_that_almost_matches_everywhere_still_fails_with_the_closest_place():
    text = "".join(f"    line {number % 7}\n" for number in range(50_000))
    edit = Edit(None, "".join(f"line {number % 7}\n" for number in range(1, 2_000)) + "no\n", "x\n")

    assert "closest" in propose(_edits(edit), {"a": text}, None).failures[0]


LINES = st.sampled_from(
    (
        "",
        "a",
        "b",
        "  a",
        "\ta",
        "    return a  ",
        "```",
        "```python",
        "=======",
        "<<<<<<< SEARCH",
        ">>>>>>> REPLACE",
        "--- a",
        "+++ b",
        "@@ -1 +1 @@",
        "# ä→",
        "src/a.py",
        ">>> a",
        "…",
        "\t",
        "}",
    )
)
TEXTS = st.lists(LINES, min_size=1, max_size=12).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(text=TEXTS, data=st.data())
@settings(deadline=None)
def test_a_search_replace_block_generated_from_an_edit_reproduces_it(text: str, data: st.DataObject):
    lines = text.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    new = data.draw(st.lists(LINES, max_size=4).map(lambda lines: [f"{line}\n" for line in lines]))
    edited = "".join([*lines[:first], *new, *lines[last + 1 :]])

    search, replace = _unique(lines, first, last, new)
    block = f"{'<' * 9} SEARCH\n{search}{'=' * 9}\n{replace}{'>' * 9} REPLACE"
    proposal = propose(read_answer(f"src/x.txt\n{block}", prose=False), {"src/x.txt": text}, None)

    assert proposal.failures == ()
    assert proposal.texts.get("src/x.txt", text) == edited


@given(text=TEXTS)
@settings(deadline=None)
def test_a_whole_file_in_a_longer_fence_is_taken_verbatim(text: str):
    content = text.replace("SEARCH", "SEARCHED").replace(
        "@@", "@"
    )  # these would be parsed as edits, whatever surrounds them
    reply = f'Here it is:\n\n````text title="src/x.txt"\n{content}````\n'

    assert propose(read_answer(reply, prose=False), {}, None).texts == {"src/x.txt": content}


PIECES = st.sampled_from(
    (
        "../../x.py",
        "/etc/passwd",
        "~/x.py",
        "C:\\x.py",
        "a/../../x.py",
        ".git/hooks/pre-commit",
        "src/shapes.py",
        "new.py",
        "\n",
        "\n",
        "\n",
        "```",
        "```python",
        "````",
        "~~~",
        "<<<<<<< SEARCH",
        "=======",
        ">>>>>>> REPLACE",
        "SEARCH",
        "--- a/",
        "+++ b/",
        "--- /dev/null",
        "@@",
        "+x = 1",
        "-x",
        "*** Begin Patch",
        "*** Add File: ",
        "*** Update File: ",
        "# path: ",
        "### ",
        "`",
        "**",
        ":",
        'title="',
        '"',
        '<file path="',
        '">',
        "</file>",
        "<think>",
        "</think>",
        "x = 1",
        "\x00",
        "\u202e",
        "\\",
        " ",
        "import math",
        "class Circle:",
        "    return 3 * r",
        "def area(r):",
    )
)


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from((None, TARGET, "new/target.py")))
@settings(deadline=None, max_examples=300)
def test_random_answers_only_name_new_files_inside_the_project_that_they_spell_out(reply: str, target: str | None):
    proposal = propose(read_answer(reply, prose=False), CURRENT, target)

    assert not (proposal.failures and proposal.texts)
    for path in proposal.texts:
        if path not in CURRENT and path != target:
            assert new_path(path) == path
            assert path in re.sub(r"/(?:\./)*/*", "/", reply.replace("\\", "/"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "a/..",
        "../a",
        "/a",
        "~/a",
        "~a",
        "C:/a",
        "a:b",
        "a\x00b",
        "a\nb",
        "a?",
        "a*",
        'a"',
        "a|b",
        "a" * 500,
        "\\\\host\\a",
        "..\\a",
        "a\\..\\..\\b",
    ],
)
def test_invalid_paths_and_paths_outside_the_project_are_rejected(path: str):
    assert new_path(path) is None


@pytest.mark.parametrize(
    ("path", "normalized"),
    [("a", "a"), ("./a/./b", "a/b"), ("a//b", "a/b"), ("a\\b.py", "a/b.py"), (".a", ".a"), ("ä b", "ä b")],
)
def test_paths_inside_the_project_are_normalized_with_slashes(path: str, normalized: str):
    assert new_path(path) == normalized


def _edits(*edits: Edit) -> Answer:
    return Answer("x", None, is_whole=True, edits=edits)


def _unique(lines: list[str], first: int, last: int, new: list[str]) -> tuple[str, str]:
    """The search and replacement texts, with as many surrounding lines as make the search unique."""
    begin, end = first, last + 1
    while sum(lines[at : at + end - begin] == lines[begin:end] for at in range(len(lines))) > 1:
        begin, end = max(0, begin - 1), min(len(lines), end + 1)
    return "".join(lines[begin:end]), "".join([*lines[begin:first], *new, *lines[last + 1 : end]])
