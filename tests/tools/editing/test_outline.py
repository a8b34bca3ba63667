"""The outline of a file: imports, definitions and their signatures."""

import pytest

from chargehand.tools.editing.outline import CHARACTERS_AT_MOST, Unit, all_units, outline


def _signatures(path: str, text: str) -> str:
    """The lines of the text that belong to signatures."""
    lines = text.split("\n")
    kept = {n for u in all_units(outline(path, text)) for n in range(u.signature_first_line, u.signature_last_line + 1)}
    return "\n".join(lines[number] for number in sorted(kept))


PYTHON = '''\
"""Shapes."""
import math
from a import (
    b,
)

LIMIT = 3


# How large it is.
@cache
def area(
    r: float,
) -> float:
    """Of a circle."""
    return math.pi * r**2


class Circle(Shape):
    sides = 0

    def __init__(self, r):
        self.r = r
        self.s = r

    async def grow(self): ...
'''


def test_python_definitions_include_their_decorators():
    names = {unit.name: (unit.first_line, unit.last_line) for unit in all_units(outline("a.py", PYTHON)) if unit.name}

    assert names == {
        "LIMIT": (6, 6),
        "area": (9, 15),
        "Circle": (18, 25),
        "sides": (19, 19),
        "__init__": (21, 23),
        "grow": (25, 25),
    }
    assert [unit.first_line for unit in outline("a.py", PYTHON) if unit.is_import] == [1, 2]


def test_python_signatures_do_not_include_bodies():
    assert _signatures("a.py", PYTHON) == (
        '"""Shapes."""\nimport math\nfrom a import (\n    b,\n)\nLIMIT = 3'
        "\n@cache\ndef area(\n    r: float,\n) -> float:\n"
        "class Circle(Shape):\n    sides = 0\n    def __init__(self, r):\n    async def grow(self): ..."
    )


@pytest.mark.parametrize(
    ("path", "text", "names", "signatures"),
    [
        (
            "a.js",
            "import x from 'y'\nexport const f = (a) => {\n  return 1\n}\n"
            "export default class A {\n  m() {\n    n()\n  }\n}\n",
            ["f", "A", "m"],
            "import x from 'y'\nexport const f = (a) => {\nexport default class A {\n  m() {",
        ),
        (
            "a.ts",
            "interface A {\n  a: string\n}\nexport async function f<T>(\n  a: T,\n): Promise<T> {\n  return a\n}\n",
            ["A", "a", "f"],
            "interface A {\n  a: string\nexport async function f<T>(\n  a: T,\n): Promise<T> {",
        ),
        ("a.tsx", "export function App() {\n  return <div>\n  </div>\n}\n", ["App"], "export function App() {"),
        (
            "a.go",
            'package a\nimport "x"\nfunc (s *S) M() int {\n\treturn 1\n}\ntype T struct {\n\tA int\n}\n',
            ["M", "T"],
            'package a\nimport "x"\nfunc (s *S) M() int {\ntype T struct {\n\tA int\n}',
        ),
        (
            "a.rs",
            "use std::io;\nimpl Foo for Bar {\n    fn a(&self) -> u8 {\n        1\n    }\n}\n"
            "/// doc\npub fn f() {\n}\n",
            ["Bar", "a", "f"],
            "use std::io;\nimpl Foo for Bar {\n    fn a(&self) -> u8 {\npub fn f() {",
        ),
        (
            "a.cpp",
            "#include <a.h>\nint *f(int a) {\n  return 1;\n}\nnamespace n {\nclass C {\n  void m() {\n  }\n};\n}\n",
            ["f", "n", "C", "m"],
            "#include <a.h>\nint *f(int a) {\nnamespace n {\nclass C {\n  void m() {",
        ),
        (
            "A.java",
            "import b;\npublic class A {\n  int x;\n  int m(int a) {\n    return 1;\n  }\n}\n",
            ["A", "x", "m"],
            "import b;\npublic class A {\n  int x;\n  int m(int a) {",
        ),
        (
            "a.rb",
            "module M\n  class A < B\n    def m(a)\n      1\n    end\n  end\nend\n",
            ["M", "A", "m"],
            "module M\n  class A < B\n    def m(a)",
        ),
        (
            "a.kt",
            "import b\nclass A {\n  fun m(): Int {\n    return 1\n  }\n}\n",
            ["A", "m"],
            "import b\nclass A {\n  fun m(): Int {",
        ),
        ("a.sh", "set -e\nf() {\n  echo\n  echo\n}\n", ["set", "f"], "set -e\nf() {"),
        ("a.md", "# A\ntext\n\n## B\n```\n# c\n```\n", [], "# A\n## B"),
        ("a.yaml", "a:\n  b: 1\n\nc:\n  d: 2\n", [], "a:\nc:"),
        ("LICENSE", "All rights\nreserved.\n\nNo warranty\nof any kind.\n", [], "All rights\nNo warranty"),
    ],
)
def test_definitions_and_signatures_of_other_languages(path: str, text: str, names: list[str], signatures: str):
    assert [unit.name for unit in all_units(outline(path, text)) if unit.name] == names
    assert _signatures(path, text) == signatures


@pytest.mark.parametrize("path", ["a.py", "a.ts", "a.rs", "a.md", "a.txt", "a.java", "a.css"])
@pytest.mark.parametrize("text", ["", "\n\n", "def (((\n  }}} <<<", "\x00\ufffd", "class A:\n\tdef", "}" * 1_000])
def test_text_that_cannot_be_parsed_raises_no_error_and_lines_stay_in_range(path: str, text: str):
    last = text.count("\n")

    for unit in all_units(outline(path, text)):
        assert 0 <= unit.first_line <= unit.signature_first_line <= unit.signature_last_line <= last
        assert unit.last_line <= last


def test_a_very_large_file_is_split_at_blank_lines():
    text = "x = 1\n\n" * (CHARACTERS_AT_MOST // 7 + 1)

    assert outline("a.py", text)[0] == Unit("", 0, 1, 0, 0)
