"""Replies in the forms that models use, with the file contents that should result."""

A = """\
import math


def area(r):
    return 3 * r


class Circle:
    def __init__(self, r):
        self.r = r

    def area(self):
        return area(self.r)
"""

B = "def run(n):\n\tfor i in range(n):\n\t\tif i:\n\t\t\tprint(i)\n\treturn n\n"

README = "# Shapes\n\nAreas of shapes.\n\n## Use\n\nCall `area`.\n"

CURRENT = {"src/shapes.py": A, "src/loop.py": B, "README.md": README}
TARGET = "src/shapes.py"

A_FIXED = A.replace("    return 3 * r\n", "    return math.pi * r**2\n")
NEW = "def one():\n    return 1\n"

SEARCH_REPLACE_BLOCK = """\
<<<<<<< SEARCH
def area(r):
    return 3 * r
=======
def area(r):
    return math.pi * r**2
>>>>>>> REPLACE"""


def _fence(text: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{text}{mark}\n"


FIXES_OF_THE_TARGET = {
    # whole files
    "a fence and nothing else": _fence(A_FIXED),
    "prose around": f"Sure! Here is the file:\n\n{_fence(A_FIXED)}\nIt uses `math.pi` now.",
    "no fence at all": A_FIXED,
    "thoughts before": f"<think>\nFirst:\n```python\nx = 1\n```\n</think>\n{_fence(A_FIXED)}",
    "a wrong tag": _fence(A_FIXED, "javascript"),
    "no tag": _fence(A_FIXED, ""),
    "a path in the tag": _fence(A_FIXED, "python:src/shapes.py"),
    "a path for a tag": _fence(A_FIXED, "src/shapes.py"),
    "a title": _fence(A_FIXED, 'python title="src/shapes.py"'),
    "a file name": _fence(A_FIXED, "python filename=src/shapes.py"),
    "a path behind the tag": _fence(A_FIXED, "python src/shapes.py"),
    "braces around the tag": _fence(A_FIXED, "{.python title='src/shapes.py'}"),
    "a path line before": f"src/shapes.py\n{_fence(A_FIXED)}",
    "a path line and a colon": f"src/shapes.py:\n\n{_fence(A_FIXED)}",
    "a heading": f"### src/shapes.py\n{_fence(A_FIXED)}",
    "a heading in code": f"#### `src/shapes.py`\n\n{_fence(A_FIXED)}",
    "a numbered heading": f"### 1. `src/shapes.py`\n\n{_fence(A_FIXED)}",
    "bold": f"**src/shapes.py**\n\n{_fence(A_FIXED)}",
    "bold in code": f"**`src/shapes.py`**:\n{_fence(A_FIXED)}",
    "a labelled line": f"**File: `src/shapes.py`**\n{_fence(A_FIXED)}",
    "a list": f"1. `src/shapes.py`:\n   ```python\n{''.join(f'   {x}' for x in A_FIXED.splitlines(True))}   ```\n",
    "a remark behind the path": f"`src/shapes.py` (updated)\n{_fence(A_FIXED)}",
    "a sentence": f"Here is the corrected `src/shapes.py`:\n\n{_fence(A_FIXED)}",
    "a comment": _fence(f"# path: src/shapes.py\n{A_FIXED}"),
    "a bare comment": _fence(f"# src/shapes.py\n{A_FIXED}"),
    "only the name of the file": _fence(f"# shapes.py\n{A_FIXED}"),
    "a dot before the path": _fence(A_FIXED, "python:./src/shapes.py"),
    "backslashes": _fence(A_FIXED, 'python title="src\\shapes.py"'),
    "tildes": _fence(A_FIXED, "python", "~~~"),
    "four marks": _fence(A_FIXED, "python", "````"),
    "windows line ends": _fence(A_FIXED).replace("\n", "\r\n"),
    "how to run it beside": f"{_fence(A_FIXED)}\nRun:\n\n{_fence('python -m pytest' + chr(10), 'bash')}",
    "its output beside": f"{_fence(A_FIXED, 'python:src/shapes.py')}\nprints\n\n{_fence('3.14' + chr(10), 'text')}",
    "how to call it beside": (
        f"src/shapes.py\n{_fence(A_FIXED)}\nUse it so:\n\n{_fence('from shapes import area' + chr(10))}"
    ),
    "tags as in the prompt": f'<file-12ab34cd path="src/shapes.py">\n{A_FIXED}</file-12ab34cd>',
    "tags around a fence": f'<file path="src/shapes.py">\n{_fence(A_FIXED)}</file>',
    # search/replace blocks
    "a block": f"src/shapes.py\n```python\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "a block without fence": f"src/shapes.py\n{SEARCH_REPLACE_BLOCK}\n",
    "a block without path": f"```python\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "a block and nothing else": SEARCH_REPLACE_BLOCK,
    "the path inside of the fence": f"```python\nsrc/shapes.py\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "the path in a comment": f"```python\n# src/shapes.py\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "the path in the tag": f"```python:src/shapes.py\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "the path behind the mark": SEARCH_REPLACE_BLOCK.replace("SEARCH", "SEARCH src/shapes.py"),
    "a fence tagged diff": f"src/shapes.py\n```diff\n{SEARCH_REPLACE_BLOCK}\n```\n",
    "Cline's marks": SEARCH_REPLACE_BLOCK.replace("<<<<<<<", "-------").replace(">>>>>>>", "+++++++"),
    "five marks": SEARCH_REPLACE_BLOCK.replace("<<<<<<<", "<<<<<")
    .replace("=======", "=====")
    .replace(">>>>>>>", ">>>>>"),
    "uneven marks": SEARCH_REPLACE_BLOCK.replace("=======", "======"),
    "lower case": SEARCH_REPLACE_BLOCK.replace("SEARCH", "search").replace("REPLACE", "replace"),
    "blanks behind the lines": SEARCH_REPLACE_BLOCK.replace("3 * r", "3 * r  "),
    "too far left": SEARCH_REPLACE_BLOCK.replace("def", "  def").replace("    return", "      return"),
    "blank lines around": SEARCH_REPLACE_BLOCK.replace("SEARCH\n", "SEARCH\n\n\n").replace(
        "=======\n", "=======\n\n\n"
    ),
    "two blocks": (
        "src/shapes.py\n```python\n"
        "<<<<<<< SEARCH\ndef area(r):\n=======\ndef area(r):  # of a circle\n>>>>>>> REPLACE\n"
        "<<<<<<< SEARCH\ndef area(r):  # of a circle\n    return 3 * r\n=======\n"
        "def area(r):\n    return math.pi * r**2\n>>>>>>> REPLACE\n```\n"
    ),
    "a block in a list": "1. In `src/shapes.py`:\n"
    + "".join(f"   {line}\n" for line in SEARCH_REPLACE_BLOCK.split("\n")),
    # diffs
    "a diff": (
        "```diff\n--- a/src/shapes.py\n+++ b/src/shapes.py\n@@ -4,2 +4,2 @@\n def area(r):\n"
        "-    return 3 * r\n+    return math.pi * r**2\n```\n"
    ),
    "a diff as git writes it": (
        "```diff\ndiff --git a/src/shapes.py b/src/shapes.py\nindex 83db48f..bf269f4 100644\n--- a/src/shapes.py\n"
        "+++ b/src/shapes.py\n@@ -1,8 +1,8 @@ import math\n \n \n def area(r):\n-    return 3 * r\n"
        "+    return math.pi * r**2\n \n \n class Circle:\n```\n"
    ),
    "a diff with wrong numbers and without the blank of blank lines": (
        "```diff\n--- src/shapes.py\n+++ src/shapes.py\n@@ -40,8 +99,3 @@\n\n\n def area(r):\n-    return 3 * r\n"
        "+    return math.pi * r**2\n\n\n class Circle:\n```\n"
    ),
    "a diff without fence": (
        "--- a/src/shapes.py\n+++ b/src/shapes.py\n@@ -5 +5 @@\n-    return 3 * r\n+    return math.pi * r**2\n"
    ),
    "a diff without header": (
        "src/shapes.py\n```diff\n def area(r):\n-    return 3 * r\n+    return math.pi * r**2\n```\n"
    ),
    "OpenAI's patch": (
        "*** Begin Patch\n*** Update File: src/shapes.py\n@@ def area(r):\n-    return 3 * r\n"
        "+    return math.pi * r**2\n*** End Patch\n"
    ),
}
"""Each makes A_FIXED of TARGET, and nothing else."""

CHANGES_OF_OTHER_FILES: dict[str, tuple[str, dict[str, str]]] = {
    "two files": (
        f"src/shapes.py\n{_fence(A_FIXED)}\ntests/test_one.py\n{_fence(NEW)}",
        {"src/shapes.py": A_FIXED, "tests/test_one.py": NEW},
    ),
    "a block and a new file": (
        f"src/shapes.py\n```python\n{SEARCH_REPLACE_BLOCK}\n```\n\n### src/one.py (new)\n{_fence(NEW)}",
        {"src/shapes.py": A_FIXED, "src/one.py": NEW},
    ),
    "a new file as a block that searches nothing": (
        f"src/one.py\n```python\n<<<<<<< SEARCH\n=======\n{NEW}>>>>>>> REPLACE\n```\n",
        {"src/one.py": NEW},
    ),
    "a new file as a diff": (
        "```diff\n--- /dev/null\n+++ b/src/one.py\n@@ -0,0 +1,2 @@\n+def one():\n+    return 1\n```\n",
        {"src/one.py": NEW},
    ),
    "a new file as a patch": (
        "```\n*** Begin Patch\n*** Add File: src/one.py\n+def one():\n+    return 1\n*** End Patch\n```\n",
        {"src/one.py": NEW},
    ),
    "spaces for tabs": (
        "src/loop.py\n```python\n<<<<<<< SEARCH\n        if i:\n            print(i)\n=======\n"
        "        if i > 1:\n            for _ in range(i):\n                print(i)\n>>>>>>> REPLACE\n```\n",
        {
            "src/loop.py": B.replace(
                "\t\tif i:\n\t\t\tprint(i)", "\t\tif i > 1:\n\t\t\tfor _ in range(i):\n\t\t\t\tprint(i)"
            )
        },
    ),
    "lines to delete": (
        "README.md\n<<<<<<< SEARCH\n## Use\n\nCall `area`.\n=======\n>>>>>>> REPLACE\n",
        {"README.md": "# Shapes\n\nAreas of shapes.\n\n"},
    ),
    "a document with fences inside": (
        "README.md\n````markdown\n# Shapes\n\n```\narea(1)\n```\n````\n",
        {"README.md": "# Shapes\n\n```\narea(1)\n```\n"},
    ),
    "a text with dividers of its own inside of longer marks": (
        "notes.rst\n<<<<<<<<< SEARCH\n=========\nTitle\n=======\n>>>>>>>>> REPLACE\n",
        {"notes.rst": "Title\n=======\n"},
    ),
    "a file without a suffix": (f"**Makefile**\n{_fence('all:' + chr(10), 'make')}", {"Makefile": "all:\n"}),
    "the same file twice, to the letter": (
        f"src/one.py\n{_fence(NEW)}\nOnce more:\n\nsrc/one.py\n{_fence(NEW)}",
        {"src/one.py": NEW},
    ),
    "no change": (_fence(A), {}),
}
"""Each with the files that it changes."""

UNPLACEABLE = {
    "a refusal": ("I'm sorry, but I can't help with that.", "neither a file"),
    "a question": ("Which formula do you want: the exact one or the approximation?", "neither a file"),
    "nothing": ("", "neither a file"),
    "only thoughts": ("<think>\nI could write\n```python\nx = 1\n```", "neither a file"),
    "a fence that breaks off": ("```python\nimport math\n\n\ndef area(r):\n    ret", "never closed"),
    "a file that breaks off": (f"{_fence(NEW, 'python:src/one.py')}\n```python:src/two.py\ndef tw", "never closed"),
    "a block that breaks off": (f"src/shapes.py\n```python\n{SEARCH_REPLACE_BLOCK[:60]}", "no `>>>>>>> REPLACE`"),
    "a fence that is not closed behind a block": (
        f"src/shapes.py\n```python\n{SEARCH_REPLACE_BLOCK}\n",
        "never closed",
    ),
    "a file whose tag is not closed": (f'<file path="src/one.py">\n{NEW}', "tag was never closed"),
    "a block without end": (SEARCH_REPLACE_BLOCK.removesuffix(">>>>>>> REPLACE"), "no `>>>>>>> REPLACE`"),
    "a block without divider": (SEARCH_REPLACE_BLOCK.replace("=======\n", ""), "no `=======` line"),
    "a block with two dividers": (
        SEARCH_REPLACE_BLOCK.replace("=======", "=======\n======="),
        "several `=======` lines",
    ),
    "a block inside of a block": (
        SEARCH_REPLACE_BLOCK.replace("=======", SEARCH_REPLACE_BLOCK),
        "no `>>>>>>> REPLACE`",
    ),
    "a search that is not there": (
        SEARCH_REPLACE_BLOCK.replace("3 * r", "4 * r"),
        "`src/shapes.py`: the text to search that begins with `def area(r):` is not in it. Copy the lines exactly."
        " The closest are, from line 4:\ndef area(r):\n    return 3 * r",
    ),
    "a search that is nowhere": (
        SEARCH_REPLACE_BLOCK.replace("def area(r)", "fn a()").replace("3 * r", "x"),
        "Copy the lines to search exactly",
    ),
    "a search that is there twice": (
        "<<<<<<< SEARCH\n\n\n=======\n\n>>>>>>> REPLACE",
        "occurs in 2 places (lines 2, 6). Include more lines around it.",
    ),
    "a search that is there twice but for blanks": (
        "README.md\n<<<<<<< SEARCH\n  x\n=======\n  y\n>>>>>>> REPLACE",
        "is not in it",
    ),
    "what is done already": (
        SEARCH_REPLACE_BLOCK.replace("3 * r", "2 * r").replace("math.pi * r**2", "3 * r"),
        "is already at line 4",
    ),
    "a search in a file that nobody named": (
        f"src/other.py\n{SEARCH_REPLACE_BLOCK}",
        "not among the files that can be edited",
    ),
    "a search for nothing in a file that is there": (
        "README.md\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n",
        "already exists",
    ),
    "a piece for the whole": (
        _fence("def area(r):\n    return math.pi * r**2\n"),
        "`Circle`, `__init__` would be lost",
    ),
    "a placeholder": (_fence(A_FIXED.replace("class Circle:", "# ... rest of the file unchanged ...")), "placeholder"),
    "another placeholder": (_fence(A_FIXED + "# (existing code remains the same...)\n"), "placeholder"),
    "two versions of a file": (
        f"src/one.py\n{_fence(NEW)}\nor\n\nsrc/one.py\n{_fence('def one(): return 1' + chr(10))}",
        "given twice",
    ),
    "a path that leads out": (f"../../.bashrc.py\n{_fence(NEW)}", "not a path below the project"),
    "an absolute path": (_fence(NEW, "python:/etc/one.py"), "not a path below the project"),
    "a drive": (_fence(NEW, 'python title="C:\\one.py"'), "not a path below the project"),
    "a home": (_fence(NEW, "python:~/one.py"), "not a path below the project"),
    "a document that ends at a fence of its own": (
        "README.md\n```markdown\n# Shapes\n\n```\narea(1)\n```\nMore.\n```\n",
        "ends at a fence of its own",
    ),
    "a diff that deletes": (
        "```diff\n--- a/src/loop.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-def run(n):\n```\n",
        "deletes the file",
    ),
    "a patch that deletes": ("*** Begin Patch\n*** Delete File: src/loop.py\n*** End Patch\n", "deletes the file"),
    "a diff of lines that are not there": (
        "```diff\n--- a/src/shapes.py\n+++ b/src/shapes.py\n@@ -1 +1 @@\n-return 4 * r\n+return 5 * r\n```\n",
        "is not in it",
    ),
    "a diff that only adds": (
        "```diff\n--- a/src/shapes.py\n+++ b/src/shapes.py\n@@ -1 +1,2 @@\n+import sys\n```\n",
        "add context",
    ),
    "a diff with strange lines": (
        "```diff\n--- a/src/shapes.py\n+++ b/src/shapes.py\n@@ -1 +1 @@\nimport math\n+import sys\n```\n",
        "begins with none of",
    ),
    "a quotation of lines that are there": (
        "```4:5:src/shapes.py\ndef area(r):\n    return 3 * r\n```\n",
        "neither a file",
    ),
    "an edit beside code for no file": (
        f"README.md\n<<<<<<< SEARCH\n## Use\n=======\n## Usage\n>>>>>>> REPLACE\n\n{_fence(A_FIXED)}",
        "Write the path before each block",
    ),
}
"""Each with a piece of the message that goes back to the model; nothing is changed."""
