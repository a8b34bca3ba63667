"""What an answer makes of the files, and what goes back to the model where it cannot be placed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replies import A_MENDED, CURRENT, MENDS_THE_TARGET, OTHERS, REFUSED, TARGET

from chargehand.tools.editing.answer import Answer, Edit, Part, read_answer
from chargehand.tools.editing.proposal import ProposedFiles, new_path, propose


def _propose(reply: str, target: str | None = TARGET) -> ProposedFiles:
    return propose(read_answer(reply, prose=False), CURRENT, target)


@pytest.mark.parametrize("reply", MENDS_THE_TARGET.values(), ids=MENDS_THE_TARGET)
def test_the_target_is_mended_whatever_form_the_answer_has(reply: str):
    proposal = _propose(reply)

    assert proposal.failures == ()
    assert proposal.texts == {TARGET: A_MENDED}


@pytest.mark.parametrize(("reply", "texts"), OTHERS.values(), ids=OTHERS)
def test_other_files_are_changed_by_their_paths(reply: str, texts: dict[str, str]):
    proposal = _propose(reply)

    assert proposal.failures == ()
    assert proposal.texts == texts


@pytest.mark.parametrize(("reply", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_placed_changes_nothing_and_says_why(reply: str, said: str):
    proposal = _propose(reply)

    assert proposal.texts == {}
    assert said in "\n".join(proposal.failures)


def test_an_edit_with_nothing_to_search_fills_an_empty_file():
    proposal = propose(_edits(Edit("x.py", "", "a = 1\n")), {"x.py": ""}, None)

    assert (proposal.failures, proposal.texts) == ((), {"x.py": "a = 1\n"})


FENCED = {
    name: reply for name, reply in MENDS_THE_TARGET.items() if "```" in reply or "~~~" in reply or "<file" in reply
}


@pytest.mark.parametrize("reply", FENCED.values(), ids=FENCED)
def test_an_answer_that_breaks_off_anywhere_is_never_half_applied(reply: str):
    proposals = [_propose(reply[:length]) for length in range(len(reply))]

    for proposal in proposals:
        assert proposal.failures or proposal.texts == {TARGET: A_MENDED} or proposal.texts == {}


def test_a_search_that_fits_at_several_places_names_their_lines():
    text = "a = 1\nb = 2\na = 1\n"

    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 3\n")), {"x.py": text}, None)

    assert proposal == ProposedFiles(
        {},
        (
            "`x.py`: the text to search that begins with `a = 1` occurs in 2 places (lines 1, 3)."
            " Include more lines around it.",
        ),
    )


def test_a_search_that_fits_at_several_places_but_for_white_space_is_not_guessed():
    proposal = propose(_edits(Edit(None, "  a = 1\n", "  a = 3\n")), {"x.py": "a = 1\n    a = 1\n"}, None)

    assert proposal.texts == {}
    assert "occurs in 2 places (lines 1, 2)" in proposal.failures[0]


def test_an_exact_place_is_taken_though_others_fit_but_for_white_space():
    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 3\n")), {"x.py": "a = 1\n    a = 1\n"}, None)

    assert proposal.texts == {"x.py": "a = 3\n    a = 1\n"}


def test_a_search_fits_whole_lines_only():
    proposal = propose(_edits(Edit(None, "a = 1\n", "a = 2\n")), {"x.py": "aa = 1\na = 11\n"}, None)

    assert proposal.texts == {}


@pytest.mark.parametrize(
    ("text", "search", "replace", "then"),
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
def test_white_space_is_made_the_files_own(text: str, search: str, replace: str, then: str | None):
    proposal = propose(_edits(Edit(None, search, replace)), {"x": text}, None)

    assert proposal.texts == ({} if then is None else {"x": then})
    assert (proposal.failures == ()) == (then is not None)


def test_nothing_is_changed_when_one_of_several_edits_finds_no_place():
    proposal = propose(_edits(Edit("a", "1\n", "2\n"), Edit("b", "3\n", "4\n")), {"a": "1\n", "b": "1\n"}, None)

    assert proposal.texts == {}
    assert len(proposal.failures) == 1


def test_without_a_target_a_file_without_a_path_goes_nowhere():
    assert "which file it is" in _propose("```python\nx = 1\n```", None).failures[0]


def test_without_a_target_an_edit_without_a_path_goes_into_the_only_file():
    answer = _edits(Edit(None, "1\n", "2\n"))

    assert propose(answer, {"a": "1\n"}, None).texts == {"a": "2\n"}
    assert "which file it is for" in propose(answer, {"a": "1\n", "b": "1\n"}, None).failures[0]


def test_a_target_that_does_not_exist_is_made():
    answer = read_answer("```python\nx = 1\n```", prose=False)

    assert propose(answer, {}, "src/new.py").texts == {"src/new.py": "x = 1\n"}


def test_the_target_gets_the_fence_of_its_language():
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
def test_a_snippet_in_another_language_is_not_taken_for_the_target(target: str, reply: str):
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
def test_a_block_of_a_near_or_unknown_language_is_the_target(target: str, tag: str):
    answer = read_answer(f"Here it is.\n\n```{tag}\nx\n```\n", prose=False)

    assert propose(answer, {}, target).texts == {target: "x\n"}


def test_a_reply_that_is_itself_a_markdown_file_is_the_target_with_its_examples():
    document = "# Project\n\nNew text.\n\n```python\nfrom x import add\nadd(1, 2)\n```\n\nMore text.\n"

    answer = read_answer(document, prose=False)

    assert propose(answer, {}, "README.md").texts == {"README.md": document}
    assert propose(answer, {"README.md": "# Project\n\nOld.\n"}, "README.md").texts == {"README.md": document}


def test_a_report_on_a_change_does_not_take_the_place_of_the_file():
    answer = read_answer("# Changes\n\nI added an example:\n\n```python\nadd(1, 2)\n```\n", prose=False)
    proposal = propose(answer, {"README.md": "# Project\n\nOld.\n"}, "README.md")

    assert proposal.texts == {}
    assert "no block is this file: the answer has only python" in proposal.failures[0]


def test_several_fences_without_a_path_are_one_file():
    reply = "```python\nx = 1\n```\nand\n```python\ny = 2\n```"

    assert propose(read_answer(reply, prose=False), {}, "a.py").texts == {"a.py": "x = 1\n\ny = 2\n"}


def test_code_that_is_left_out_beside_the_files_is_noted():
    proposal = _propose(f"src/shapes.py\n```python\n{A_MENDED}```\nUse:\n```python\nprint(area(1))\n```")

    assert proposal.texts == {TARGET: A_MENDED}
    assert proposal.notes == ("left out: 1 lines of code without a path",)


@pytest.mark.parametrize("named", ["/home/me/project/src/a.py", "./src/a.py", "src/a.py"])
@pytest.mark.parametrize("said", ["src/a.py", "a.py", "./src/a.py"])
def test_a_path_is_the_callers_file_when_only_one_ends_so(named: str, said: str):
    answer = Answer("x", None, is_whole=True, parts=(Part(said, None, "x = 2\n"),))

    assert propose(answer, {named: "x = 1\n", "src/b.py": ""}, None).texts == {named: "x = 2\n"}


def test_a_path_that_could_be_two_of_the_callers_files_is_neither():
    answer = Answer("x", None, is_whole=True, parts=(Part("a.py", None, "x = 2\n"),))

    assert propose(answer, {"one/a.py": "", "two/a.py": ""}, None).failures == (
        "`a.py`: could be any of `one/a.py`, `two/a.py`. Write the whole path.",
    )


def test_another_folder_is_another_file():
    answer = Answer("x", None, is_whole=True, parts=(Part("new/__init__.py", None, "x = 2\n"),))

    assert propose(answer, {"__init__.py": "x = 1\n"}, None).texts == {"new/__init__.py": "x = 2\n"}


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_end_of_the_file_stays_as_it_is(end: str):
    whole = Answer("x", None, is_whole=True, parts=(Part("a", None, "x\ny\n"),))
    edit = _edits(Edit("a", "x\n", "y\n"))

    assert propose(whole, {"a": f"x{end}"}, None).texts == {"a": f"x\ny{end}"}
    assert propose(edit, {"a": f"x{end}"}, None).texts == {"a": f"y{end}"}


def test_a_comment_that_names_the_path_stays_only_where_it_was_before():
    reply = "```python\n# src/a.py\nx = 2\n```"
    answer = read_answer(reply, prose=False)

    assert propose(answer, {"src/a.py": "# src/a.py\nx = 1\n"}, None).texts == {"src/a.py": "# src/a.py\nx = 2\n"}
    assert propose(answer, {"src/a.py": "x = 1\n"}, None).texts == {"src/a.py": "x = 2\n"}


def test_definitions_that_moved_to_another_file_of_the_answer_are_not_lost():
    moved = "class Circle:\n    def __init__(self, r):\n        self.r = r\n\n    def area(self):\n        return 1\n"
    reply = f"src/shapes.py\n```python\ndef area(r):\n    return 3\n```\nsrc/circle.py\n```python\n{moved}```\n"

    assert set(_propose(reply).texts) == {"src/shapes.py", "src/circle.py"}


def test_a_piece_of_a_text_without_definitions_is_not_taken_for_the_whole():
    lines = [f"key_{number}: {number}\n" for number in range(100)]
    answer = Answer("x", None, is_whole=True, parts=(Part("a.yaml", None, "".join(lines[:5]) + "new: 1\n"),))

    assert propose(answer, {"a.yaml": "".join(lines)}, None).failures == (
        "`a.yaml`: given as a whole file, but it is only a piece: 94 of its 100 lines would be lost."
        " Give the whole file, or change it with search/replace blocks.",
    )


def test_a_long_search_that_almost_fits_everywhere_still_gets_its_message():
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
def test_the_block_made_of_an_edit_makes_that_edit(text: str, data: st.DataObject):
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
def test_a_whole_file_in_a_longer_fence_is_that_file(text: str):
    marked = text.replace("SEARCH", "SEARCHED").replace("@@", "@")  # those are edits, whatever is around them
    reply = f'Here it is:\n\n````text title="src/x.txt"\n{marked}````\n'

    assert propose(read_answer(reply, prose=False), {}, None).texts == {"src/x.txt": marked}


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
def test_no_answer_names_a_file_that_leads_out_or_that_it_does_not_spell(reply: str, target: str | None):
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
def test_a_path_that_leads_out_is_none(path: str):
    assert new_path(path) is None


@pytest.mark.parametrize(
    ("path", "is_then"),
    [("a", "a"), ("./a/./b", "a/b"), ("a//b", "a/b"), ("a\\b.py", "a/b.py"), (".a", ".a"), ("ä b", "ä b")],
)
def test_a_path_below_the_project_is_written_with_slashes(path: str, is_then: str):
    assert new_path(path) == is_then


def _edits(*edits: Edit) -> Answer:
    return Answer("x", None, is_whole=True, edits=edits)


def _unique(lines: list[str], first: int, last: int, new: list[str]) -> tuple[str, str]:
    """The search and the replacement, with as many lines around as make the search unique."""
    begin, end = first, last + 1
    while sum(lines[at : at + end - begin] == lines[begin:end] for at in range(len(lines))) > 1:
        begin, end = max(0, begin - 1), min(len(lines), end + 1)
    return "".join(lines[begin:end]), "".join([*lines[begin:first], *new, *lines[last + 1 : end]])
