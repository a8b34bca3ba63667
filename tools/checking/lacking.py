"""What commands say when the sandbox lacks what they need, and what the user can do about it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..some_names import some_names
from .result import CheckResult
from .sandbox import WORK_FOLDER

_SAID = re.compile(
    "|".join(
        (
            r"(?<![^\s/:])[^\s/:]+: (?:command )?not found$",  # shells; tried once per word, not per letter
            r"\bCannot find (?:module|package) '[^./'][^'\n]*'",  # Node.js, Bun, TypeScript
            r"\bMissing package: \S+",  # Yarn's Plug'n'Play
            r"\bExecutable doesn't exist at \S+|\bCould not find Chrome\b",  # Playwright, Puppeteer
            r"\b(?:env|make(?:\[\d+\])?): [^\w./]?\w[^\s/:]*: No such file or directory",
            r"\b[Cc]ommand not found: \S+|\bCommand '[^'/]+' is not found\b",  # Poetry, PDM
            r"python[\d.]*: No module named \S+",
            r"\bNo matching distribution found for \S+",  # pip
            r"\bFailed to spawn: `[^/`]+`|\bthe network was disabled",  # uv
            r"\bcannot load such file -- [^./\s]\S*|\bCould not find \S+ in (?:locally|cached) .*",  # Ruby, Bundler
            r"\bFailed opening required '[^'\n]*/vendor/autoload\.php'",  # PHP
            r"\bno matching package named `[^`]+` found|\bfailed to read root of directory source: .*",  # cargo
            r"\bcannot find module providing package \S+",  # Go
            r"\bthe artifact \S+ has not been downloaded from it before",  # Maven
            r"\bNo cached version of \S+ available for offline mode",  # Gradle
            r'(?<!-- )\bCould NOT find \w+|\bconfiguration file provided by "[^"\n]+"',  # CMake
            r'\bERROR: Dependency "[^"\n]+" not found',  # Meson
            r"\brequest to \S+ failed|\bgetaddrinfo \S+|\bdial tcp\b.*|\b[Uu]nknown host\b.*",  # network
            r"\bUnknownHostException: .*|\b[Cc]ould not resolve host\b.*",
            r"\bTemporary failure in name resolution|\bName or service not known",
        )
    ),
    re.MULTILINE,
)
"""What is said of a missing program, package or network."""
_PYTHON_MODULE = re.compile(
    r"\bModuleNotFoundError: No module named '([\w.]+)'|\bUnable to import '([\w.]+)'"  # Python, Pylint
    r'|\b(?:library stub for module named|Library stubs not installed for|Import) "([\w.]+)"'  # mypy, Pyright
)
"""What is said of a Python module, which may be one of the project that the answer should have written."""
_TOO_LITTLE_MEMORY = re.compile(
    r"\b(?:[Oo]ut of memory|[Ii]nsufficient memory|failed to allocate|process OOM|Cannot allocate memory"
    r"|memory allocation of \d+ bytes failed)"
)
_NO_HISTORY = re.compile(r"\bnot a git repository\b|\bare you in a Git repository directory\b")
"""What git and pre-commit say in a copy of a project."""
_READ_ONLY = re.compile(r"\b[Rr]ead-only file system\b.*")
_NO_FILE = re.compile(
    r"""[Nn]o such file or directory[^\n'"]*['"]([^'"\n]+)['"]"""  # Python, Node.js
    r"|(?<![^\s:])([^\s:'\"]+): [Nn]o such file or directory"  # Go, shells
)
_FOLDERS_SHOWN = 8
_PACKAGES = ("node_modules", ".yarn/cache", ".venv", "venv", "vendor")
"""Folders of packages in projects, which are not copied, or if git does not ignore them."""


def lacks_in(output: str, project: Path, copy: Path) -> Sequence[str]:
    """What the output says is missing, in its words: no module that the answer may have to write.

    copy: that of the project, changed by the answer.
    """
    said = [
        found[0]
        for pattern in (_SAID, _TOO_LITTLE_MEMORY, _NO_HISTORY, _READ_ONLY)
        for found in pattern.finditer(output)
    ]
    modules = {found[0]: _module_in(found) for found in _PYTHON_MODULE.finditer(output)}
    if (file := left_out_file(output, project, copy)) is not None:
        said.append(file)
    return [*said, *(words for words, module in modules.items() if not _is_for_the_answer(module, project, copy))]


def left_out_file(output: str, project: Path, copy: Path) -> str | None:
    """The first missing file of which an output tells and that the project has, but not its copy; relative to both.

    Git ignores it, or its name is one of secrets.
    """
    for found in _NO_FILE.finditer(output):
        path = next(filter(None, found.groups())).removeprefix(f"{WORK_FOLDER}/")
        is_inside = not Path(path).is_absolute() and ".." not in Path(path).parts
        if is_inside and (project / path).is_file() and not os.path.lexists(copy / path):
            return path
    return None


def excused(result: CheckResult, project: Path, copy: Path) -> CheckResult:
    """The result of tests, unless they failed for a file that the copy of the project leaves out: no result then."""
    failure = result.first_failure or ""
    missing = left_out_file(failure, project, copy) if result.outcome == "failed" else None
    if missing is None:
        return result
    why = (
        f"they need {missing}, which the copy that they run in leaves out, as git ignores it or its name is one of"
        " secrets; a command of yours, [checks.NAME] in config.toml, can run them with it in `read_only`"
    )
    return CheckResult(result.name, "not_run", note=f"{why}. {failure[:300]}")


def _module_in(found: re.Match[str]) -> str:
    return next(filter(None, found.groups()))


def _is_for_the_answer(module: str, project: Path, copy: Path) -> bool:
    top = module.split(".")[0]
    if module == top and _is_on_top(project, top) and _is_on_top(copy, top):
        return False
    return any(path.name in (top, f"{top}.py") for path in copy.rglob(f"{top}*"))


def _is_on_top(project: Path, module: str) -> bool:
    """Whether it is where Python finds it when it is started in the project, or in `src`."""
    return any((project / folder / name).exists() for folder in (".", "src") for name in (module, f"{module}.py"))


def remedy(lack: str | None, name: str, project: Path, copy: Path) -> str:
    """How to let a check have what it lacks. lack: in its words. name: the check's. copy: that of the project."""
    module = lack and _PYTHON_MODULE.fullmatch(lack)
    if module and _is_on_top(project, _module_in(module)):
        return f"let the command of [checks.{name}] find it, as `python -m pytest` does and `pytest` alone does not"
    if lack is not None and _TOO_LITTLE_MEMORY.fullmatch(lack):
        return f"raise `memory_mb` of [checks.{name}] in the config file"
    if lack is not None and (project / lack).is_file():
        return f"name {project / lack} in `read_only` of [checks.{name}] in the config file"
    if lack is not None and _READ_ONLY.fullmatch(lack):
        call = "write elsewhere, or call programs of an environment themselves (`pytest`, not `hatch run pytest`)"
        return f"nothing can be written to what `read_only` names: let the command of [checks.{name}] {call}"
    if lack is not None and _NO_HISTORY.fullmatch(lack):
        return f"the copy has no git history: let the command of [checks.{name}] do without, or begin with `git init`"
    found = some_names(_left_out(project, copy), _FOLDERS_SHOWN)
    what = found or "what it needs, such as a Python environment or a cache in your home folder,"
    return f"name {what} in `read_only` of [checks.{name}] in the config file"


def _left_out(project: Path, copy: Path) -> Sequence[str]:
    """The folders of packages that the copy lacks: the project's own, then those of the members of a workspace."""
    found = (path for depth in ("", "*/", "*/*/") for name in _PACKAGES for path in sorted(project.glob(depth + name)))
    return [
        str(path)
        for path in found
        if path.is_dir()
        and not any(part in _PACKAGES for part in path.relative_to(project).parts[:-1])
        and not (copy / path.relative_to(project)).exists()
    ]
