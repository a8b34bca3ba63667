"""Parsing the answer from a model's reply."""

import time
import timeit
from dataclasses import replace

import pytest

from chargehand.tools.editing.answer import Answer, read_answer


def _read(reply: str, *, prose: bool) -> Answer:
    """The answer without its fields about files."""
    return replace(read_answer(reply, prose=prose), parts=(), edits=(), faults=())


def _code(reply: str) -> str:
    return read_answer(reply, prose=False).code


def test_the_code_is_the_content_of_the_fence():
    reply = "Here it is:\n\n```python\ndef f():\n    return 1\n```\n\nIt returns 1."

    assert _read(reply, prose=False) == Answer("def f():\n    return 1\n", "python", is_whole=True)


def test_a_reply_without_a_fence_is_taken_as_code_unchanged():
    assert _read("    x = 1\n    y = 2", prose=False) == Answer("    x = 1\n    y = 2\n", None, is_whole=True)


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, I cannot help with that request.",
        "I\u2019m sorry, but I can\u2019t assist with that.",
        "Sorry, but I cannot write this.\n\nIt could do harm to others.",
        "Unfortunately, I am unable to do that!",
    ],
)
def test_a_refusal_is_not_code_and_is_kept_when_prose_is_wanted(reply: str):
    assert _read(reply, prose=False) == Answer("", None, is_whole=True)
    assert _read(reply, prose=True).code.strip() == reply.replace("\r", "")


@pytest.mark.parametrize(
    "reply",
    [
        "Here is how I would do it: first I would read the lines, and then I would add them up.",
        "Sure! To rename it, go through the file.\n\n1. **Find**: look for the `def double(n):` line.\n"
        "2. Change the name to `count`.\n\nThat is all you need to do.",
        "I would write a function double(count) that returns twice the count.\n\n## Steps\n\n- Take the count.",
        "To solve this, we use a loop:\n\nfor each of the items, add it to the sum.",
        "Could you share the file? I\u2019d need it to see what this function is called with.",
    ],
)
def test_an_explanation_is_not_code_and_is_kept_when_prose_is_wanted(reply: str):
    assert _read(reply, prose=False) == Answer("", None, is_whole=True, is_explanation=True)
    assert _read(reply, prose=True) == Answer(reply + "\n", "markdown", is_whole=True)


@pytest.mark.parametrize(
    "reply",
    [
        "Here is the code that you asked for, and it is tested:\n\ndef f():\n    return 1",
        "Here is the function that you would like to have:\n\nreturn a",
        "Here is the query that you would like to have:\n\nSELECT name FROM users",
        "Here is the query that you would like to have:\nSELECT the.name FROM the",
        "Sure, this is the script that you would need:\npip install the-thing",
        "Sure, this is the line that you would need:\nprint('this is it.')",
        "Sure, this is the line that you would need:\nif is_this(it):\n  that()",
        "Here is the file that you would like to have:\n- name: it\n- of: that",
        "Here is the file that you would like to have:\n\nFeature: Sums\n  Given I have the numbers.",
        "Let x be the sum of the list.\nx := 0",
        "I = 1\nto = that\nthe = this\nyou = we\nit = I\nof = the",
        "Sure, here it is, as you wished it to be:\n    DISPLAY 'THE SUM IS'.",
        "Yes, this is the header that you need:\n\n<p>This is the text.</p>",
        "Fix the parser, so that it takes the empty files that we are to read.",
    ],
)
def test_prose_with_a_line_that_may_be_code_is_taken_as_code_unchanged(reply: str):
    assert _code(reply) == reply + "\n"


@pytest.mark.parametrize(
    "reply",
    [
        "sorry = 'I cannot.'",
        "Sorry, but I had to.\ndef f():\n    return 1",
        "I cannot help = yes",
        "IDENTIFICATION DIVISION.\nPROGRAM-ID. HELLO.",
        "Fix the parser, so that it takes empty files.",
        "(defun f () 1)",
        "all:\n\tcc main.c",
        "As an aid. To do so",
        "SELECT 1",
    ],
)
def test_text_that_may_be_code_is_taken_as_code_without_a_fence(reply: str):
    assert _code(reply) == reply + "\n"


def test_several_fences_of_one_language_are_joined_in_order():
    reply = "First:\n```python\na = 1\n```\nthen:\n```py\nb = a\n```\nlast:\n```python3\n\nc = b\n\n```"

    assert _read(reply, prose=False) == Answer("a = 1\n\nb = a\n\nc = b\n", "python", is_whole=True)


@pytest.mark.parametrize(
    "other_block",
    [
        "```bash\npip install something-with-a-long-name\npython answer.py --with --many --flags\n```",
        "```sh\npython answer.py\n```",
        "```\n[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]\n```",
        "```text\nThis prints a great many lines, all of them longer than the code.\n```",
        "```output\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n```",
        '```json\n{"this": "is what it reads", "and": "it is longer than the code itself"}\n```',
        "```python\n>>> f()\n1\n>>> f() + f() + f() + f() + f() + f() + f()\n7\n```",
        "```\n\n  >>> f()\n  1\n```",
    ],
)
def test_usage_and_output_blocks_beside_the_code_are_left_out(other_block: str):
    code = "```python\ndef f():\n    return 1\n```"

    assert _code(f"{code}\nLike this:\n{other_block}\n") == "def f():\n    return 1\n"
    assert _code(f"{other_block}\nThen:\n{code}") == "def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("```bash\nset -e\n```", Answer("set -e\n", "bash", is_whole=True)),
        (
            "```bash\nset -eu\necho hi\n```\nprints\n```text\nhi\n```",
            Answer("set -eu\necho hi\n", "bash", is_whole=True),
        ),
        ("```yaml\na: 1\n```\n```sh\nkubectl apply -f a.yaml\n```", Answer("a: 1\n", "yaml", is_whole=True)),
        ("```\n>>> 1 + 1\n2\n```", Answer(">>> 1 + 1\n2\n", "pycon", is_whole=True)),
        ("```text\njust text\n```", Answer("just text\n", "text", is_whole=True)),
    ],
)
def test_a_usage_or_output_block_is_the_answer_if_there_is_no_other_code(reply: str, answer: Answer):
    assert _read(reply, prose=False) == answer


def test_of_two_languages_the_block_with_more_code_is_the_answer():
    reply = "```js\nf()\n```\nand\n```python\ndef f():\n    return 'more'\n```"

    assert _code(reply) == "def f():\n    return 'more'\n"


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("Python", "python"),
        (" python ", "python"),
        ('python title="x.py"', "python"),
        ("python {linenos=true}", "python"),
        ("python,linenos", "python"),
        ("{.python}", "python"),
        ("{.python .numberLines}", "python"),
        (".py", "python"),
        ("python:src/x.py", "python"),
        ("src/x.py", "python"),
        ("12:15:src/app.ts", "typescript"),
        ("c++", "cpp"),
        ("c#", "csharp"),
        ("objective-c", "objective-c"),
        ("Dockerfile", "dockerfile"),
        ("", None),
    ],
)
def test_the_language_is_read_from_the_info_string(info: str, language: str | None):
    assert _read(f"```{info}\nx\n```", prose=False) == Answer("x\n", language, is_whole=True)


def test_tilde_fences_are_recognized():
    assert _code("~~~python\nx = '''\n```\n'''\n~~~\n") == "x = '''\n```\n'''\n"


def test_a_longer_fence_can_contain_shorter_ones():
    assert _code("````markdown\n# A\n```\ncode\n```\n````\n") == "# A\n```\ncode\n```\n"


def test_a_fence_is_closed_by_a_longer_mark_but_not_by_a_shorter_or_different_one():
    assert _code("```python\nx = 1\n`````\n") == "x = 1\n"
    assert _code("````python\nx = 1\n```\n~~~~\ny = 2\n````\n") == "x = 1\n```\n~~~~\ny = 2\n"


def test_a_mark_followed_by_text_does_not_close_a_fence():
    assert _code("```python\nx = 1  # ```\n``` y\n```\n```") == "x = 1  # ```\n``` y\n```\n"


def test_backticks_within_a_line_do_not_open_a_fence():
    assert _code("Use ```x``` here.") == "Use ```x``` here.\n"
    assert _code("```x = 1```\nand no more") == "```x = 1```\nand no more\n"


def test_a_markdown_fence_keeps_the_tagged_fences_inside_it():
    document = "# Title\n\n```bash\npip install x\n```\n\nThen:\n\n```python\nimport x\n```\n\nDone.\n"

    assert _read(f"```markdown\n{document}```", prose=True) == Answer(document, "markdown", is_whole=True)


@pytest.mark.parametrize(
    "docstring",
    [
        '    """Add.\n\n    ```python\n    f()\n    ```\n    """\n',
        '    """Add.\n\n    ```\n    f()\n    ```\n    """\n',
        '    """Add.\n\n```python\nf()\n```\n    """\n',
    ],
)
def test_fences_in_a_docstring_do_not_end_the_code(docstring: str):
    code = f"def f():\n{docstring}    return 1\n"

    assert _read(f"Here:\n```python\n{code}```\nDone.", prose=False) == Answer(code, "python", is_whole=True)


@pytest.mark.parametrize("indent", ["  ", "   ", "    ", "        ", "\t"])
def test_the_indentation_of_a_list_is_removed_from_a_fence_inside_it(indent: str):
    lines = ["```python", "def f():", "    if True:", "", "        return 1", "```"]
    reply = "1. Do this:\n\n" + "\n".join(f"{indent}{line}" if line else "" for line in lines) + "\n\n2. Done."

    assert _read(reply, prose=False) == Answer("def f():\n    if True:\n\n        return 1\n", "python", is_whole=True)


@pytest.mark.parametrize("mark", ["- ", "* ", "1. ", "10) ", "  - "])
def test_a_fence_directly_after_a_list_marker_is_recognized(mark: str):
    indent = " " * len(mark)

    assert (
        _code(f"{mark}```python\n{indent}def f():\n{indent}    return 1\n{indent}```\n") == "def f():\n    return 1\n"
    )


def test_unindented_code_in_an_indented_fence_is_unchanged():
    assert _code("- So:\n   ```python\ndef f():\n    return 1\n   ```\n") == "def f():\n    return 1\n"
    assert _code("- So:\n   ```python\ndef f():\n    return 1\n```\n") == "def f():\n    return 1\n"


def test_indented_code_in_a_fence_keeps_its_indentation():
    assert _code("```python\n    return 1\n```") == "    return 1\n"


def test_an_unclosed_fence_gives_its_code_marked_as_incomplete():
    assert _read("So:\n```python\ndef f():\n    ret", prose=False) == Answer(
        "def f():\n    ret\n", "python", is_whole=False
    )


def test_a_stray_mark_at_the_end_is_not_an_unclosed_fence():
    assert _read("```python\nx = 1\n```\nDone.\n```", prose=False) == Answer("x = 1\n", "python", is_whole=True)


def test_a_truncated_usage_block_does_not_make_the_code_incomplete():
    assert read_answer("```python\nx = 1\n```\nRun:\n```bash\npyth", prose=False).is_whole


def test_windows_line_endings_become_line_feeds():
    assert _code("So:\r\n\r\n```python\r\nx = 1\r\ny = 2\r\n```\r\n") == "x = 1\ny = 2\n"


@pytest.mark.parametrize(
    "thinking",
    [
        "<think>\nLet me see.\n```python\nwrong = 1\n```\n</think>\n\n",
        "\n<thinking>hm</thinking>",
        "<think></think>\n",
        "Let me see.\n```python\nwrong = 1\n```\nno.\n</think>\n\n",
    ],
)
def test_thinking_in_the_reply_is_removed(thinking: str):
    assert _code(f"{thinking}```python\nright = 1\n```") == "right = 1\n"


def test_a_reply_with_unfinished_thinking_has_no_code():
    assert _code("<think>\nI could write\n```python\nx = 1\n```\nbut") == ""


def test_thinking_tags_inside_code_are_kept():
    code = 'TEXT = """\n<think>\nhm\n</think>\n"""\nassert "</think>" in TEXT\n'

    assert _code(f"```python\n{code}```") == code


@pytest.mark.parametrize("prose", [True, False])
@pytest.mark.parametrize("reply", ["", "   \n\n", "\u200b"])
def test_an_empty_reply_is_an_empty_answer(reply: str, *, prose: bool):
    assert _read(reply, prose=prose).code == ""


def test_an_empty_fence_is_an_empty_answer():
    assert _read("Nothing to do.\n```python\n```", prose=False).code == ""


def test_prose_is_kept_with_its_fences():
    text = "# Plan\n\nDo this:\n\n```python\nx = 1\n```\n\nand that.\n"

    assert _read(text, prose=True) == Answer(text, "markdown", is_whole=True)


@pytest.mark.parametrize("mark", ["```markdown", "```", "~~~text"])
def test_a_fence_around_the_whole_prose_is_removed(mark: str):
    reply = f"{mark}\n# Plan\n\nDo this.\n{mark[:3]}\n"

    assert _read(reply, prose=True).code == "# Plan\n\nDo this.\n"


def test_prose_truncated_within_a_fence_is_incomplete():
    assert not _read("# Plan\n\n```python\nx =", prose=True).is_whole
    assert _read("```markdown\n# Plan\n\nDo", prose=True) == Answer("# Plan\n\nDo\n", "markdown", is_whole=False)


def test_invisible_characters_are_removed_from_code():
    assert _code("```python\nif user\u202e != 'a\U000e0041':\n```") == "if user != 'a':\n"


@pytest.mark.parametrize(
    "piece",
    [
        "```python\n",
        "</think\n",
        "<think>",
        " " * 100 + "\n",
        "```\n",
        "- ",
        "`" * 50,
        "<<<<<<< SEARCH\n",
        "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n",
        "--- a\n+++ b\n@@\n",
        '<file path="a">\n',
        "`a.py` " * 40 + "\n```\n",
        "*_" * 140 + "\n```\n```\n",
        "a/" * 145 + "\n```\n```\n",
    ],
)
def test_parsing_an_adversarial_reply_takes_less_than_quadratic_time(piece: str):
    def seconds(characters: int) -> float:
        text = piece * (characters // len(piece))
        return timeit.timeit(lambda: read_answer(text, prose=False), timer=time.process_time, number=1)

    assert any(seconds(320_000) < 32 * max(seconds(40_000), 0.01) for _ in range(5))
