"""Languages by fence tag, file name and text."""

import pytest

from chargehand.tools.checking.languages import (
    guess_language,
    language_named,
    language_of,
    language_of_file,
    language_to_check,
)


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
    [
        ("src/a.py", "python"),
        ("A.TSX", "typescript"),
        ("Dockerfile", "dockerfile"),
        ("README", None),
        ("a.xyz", None),
        ("Gemfile", "ruby"),
        ("tsconfig.build.json", "jsonc"),
        ("package.json", "json"),
    ],
)
def test_the_language_of_a_file_name(path, language):
    assert language_of_file(path) == language


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("bin/tool", "#!/usr/bin/env python3\n", "python"),
        ("bin/tool", "#!/bin/sh -e\n", "bash"),
        ("bin/tool", "#!/usr/bin/env -S node --test\n", "javascript"),
        ("bin/tool", "import os\n", None),
        ("src/Badge.vue", "<script setup>\n", "vue"),
    ],
)
def test_a_file_is_checked_as_its_name_or_its_first_line_says(path, text, language):
    assert language_to_check(path, text) == language


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
