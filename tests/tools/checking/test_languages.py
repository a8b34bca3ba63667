"""Languages by fence tag, file name and text."""

import pytest

from chargehand.tools.checking.languages import guess_language, language_named, language_of, language_of_file


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("py", "python"),
        ("Python3", "python"),
        ("python title=x.py", "python"),
        ("python,ignore", "python"),
        (".rs", "rust"),
        ("c++", "cpp"),
        ("JSX", "javascript"),
        ("brainfuck", "brainfuck"),
        ("", None),
        (None, None),
    ],
)
def test_the_language_of_a_fence_tag(tag, language):
    assert language_named(tag) == language


@pytest.mark.parametrize(
    ("path", "language"),
    [("src/a.py", "python"), ("A.TSX", "typescript"), ("Dockerfile", "dockerfile"), ("README", None), ("a.xyz", None)],
)
def test_the_language_of_a_file_name(path, language):
    assert language_of_file(path) == language


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("import os\n\ndef f(a: int) -> int:\n    if a:\n        return 1\n", "python"),
        ("class A(B):\n    @property\n    def x(self):\n        return 1\n", "python"),
        ("use std::io;\n\nfn main() {\n    let mut x = 1;\n}\n", "rust"),
        ("const f = (a) => {\n  return a;\n};\nmodule.exports = f;\n", "javascript"),
        ("interface A {\n  x: number;\n}\nconst a: A = make();\n", "typescript"),
        ("package main\n\nfunc main() {\n\tx := 1\n}\n", "go"),
        ("public class A {\n    private int x;\n}\n", "java"),
        ("#include <iostream>\nusing namespace std;\n", "cpp"),
        ("#!/bin/bash\necho hi\n", "bash"),
        ('{"a": 1}', "json"),
        ("Sorry, I cannot do that.", None),
        ("", None),
    ],
)
def test_the_language_of_code_is_guessed_from_its_text(code, language):
    assert guess_language(code) == language


def test_a_named_language_takes_precedence_over_the_guess():
    assert language_of("def f():\n    pass\n", "ruby") == "ruby"
    assert language_of("def f():\n    pass\n", None) == "python"
