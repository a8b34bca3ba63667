"""Replaces an answer by one that is useless, to see whether its tests notice.

Loaded by `inside_tests.py`, which is next to it in the sandbox, and by nothing else.
"""

from __future__ import annotations

import ast
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # see `inside_tests.py`
    from typing import Any

SPOILED = """
class Spoiled:
    def __call__(self, *_given, **_named):
        return self
    __getattr__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __call__
    __mod__ = __and__ = __or__ = __neg__ = __enter__ = __aenter__ = __call__

    def __await__(self):
        yield from ()
        return self

    def __bool__(self, *_given):
        return False
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __exit__ = __bool__
    __hash__ = object.__hash__

    def __int__(self):
        return 0
    __len__ = __index__ = __int__

    def __float__(self):
        return 0.0

    def __str__(self, *_given):
        return ""
    __format__ = __str__

    def __iter__(self):
        return iter(())

if {refuses}:
    def refuse(*_given, **_named):
        raise AssertionError("this answer refuses to be used")
    for operation in {{*vars(Spoiled)}} - {{*vars(type("Other", (), {{}}))}}:
        setattr(Spoiled, operation, refuse)

if __name__ == "__main__":
    raise SystemExit(1)
"""


def spoil(job: dict[str, Any]) -> None:
    """Replace the job's answer, and its `file` of the project.

    `spoiled` is `refusing`, which raises at each use, or `inert`, which gives itself and equals nothing.
    """
    text = SPOILED.format(refuses=job["spoiled"] == "refusing")
    text += "".join(f"{name} = Spoiled()\n" for name in sorted(names_in(ast.parse(job["answer"]))))
    job["answer"] = text
    if job.get("file"):
        os.unlink(job["file"])  # it may be a link
        with open(job["file"], "w", encoding="utf-8") as file:
            file.write(text)


def names_in(tree: ast.Module) -> set[str]:
    """The names that are bound anywhere in a module, without those of the language (`__name__`)."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return {name for name in names if name != "*" and not name.startswith("__")}
