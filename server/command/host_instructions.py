"""Instructions for a host's model on when to delegate, as a file in its project: a skill, a rule, or a section."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...memory_store.adherence import ClassUsage
from ...profiles.durable_files import refuse_special_file, replace_file
from ...profiles.price import in_dollars
from ...tools.errors import FileRefused
from ..hosts.installing import BACKUP

BEGIN = "<!-- chargehand: begin -->"
END = "<!-- chargehand: end -->"

_SUMMARY = (
    "Delegate self-contained coding work to a cheaper model whose answer is checked. Use when the result is more than"
    " about 200 tokens, can be checked by tests, and the files that matter are known."
)

_ADVICE = """\
Chargehand (MCP server `chargehand`) has another model write code, runs your tests on it, and escalates when they fail.

## When it pays

Delegate when all three hold:

- the result is more than about 200 tokens (some 20 lines): below that, writing the task costs as much as writing it;
- it can be checked: by asserts you can state now, tests that exist, or a command in the user's configuration;
- you know which files matter, so that you can name them instead of pasting them.

Typical: a function or class from a clear description, tests for existing code, a fix with a failing test, docstrings \
and documentation, format changes, translations, mechanical refactorings, boilerplate.

## When it does not

Do it yourself when

- the change is a line or two;
- it depends on this conversation, or on files you would have to explain;
- the design is still open: decide first, then delegate the parts;
- nothing could tell a wrong answer from a right one, and you would read every line anyway.
{losing}
## How

1. `delegate_generation(task=…, tests=…, context_files=[…])`. The model does not see this chat: name the function or \
file, inputs and outputs, edge cases, and what must not change. Omit `model`. `output="apply"` with a `target` writes \
verified code into the file: none of it passes through the chat.
2. While it says `running`: `delegate_generation(resume=task_id)`.
3. `succeeded`: insert the code and run the project's own tests. `unverified`: read every line first. `failed`: read \
what the last check reported; make the task more precise or do it yourself, never resend the same text. `over_budget`, \
`refused`: tell the user what the notes say.
4. `report_outcome(task_id, accepted | edited | rejected | tests_passed | tests_failed)`, always: it decides which \
model gets the next similar task.

`strategic_review` is for major checkpoints only; `validate_code` gives a second opinion on code that was not delegated.
"""


@dataclass(frozen=True)
class Form:
    """The file format of one kind of host."""

    path: str
    """The file's path relative to the project folder, with forward slashes."""
    head: str
    """Text before the advice."""
    is_shared: bool
    """Whether the file has other content too: then only the section between our markers is ours."""


FORMS: Mapping[str, Form] = {
    "claude-code": Form(
        ".claude/skills/chargehand/SKILL.md",
        f"---\nname: chargehand\ndescription: {_SUMMARY}\n---\n\n# Delegating with Chargehand\n\n",
        is_shared=False,
    ),
    "cursor": Form(
        ".cursor/rules/chargehand.mdc",
        f"---\ndescription: {_SUMMARY}\nalwaysApply: false\n---\n\n# Delegating with Chargehand\n\n",
        is_shared=False,
    ),
    "agents-md": Form("AGENTS.md", "# Delegating with Chargehand\n\n", is_shared=True),
}


def instructions(form: Form | None, classes: Sequence[ClassUsage]) -> str:
    """The complete text. form: None means the advice alone. classes: the usage of each kind of task."""
    losing = [c for c in classes if c.loses_money]
    lines = [
        f"- it is {c.task_type}: over {c.judged} tasks here it cost {in_dollars(c.lost_usd)} more than it was worth;"
        for c in losing
    ]
    advice = _ADVICE.format(losing="".join(f"{line}\n" for line in lines))
    return advice if form is None else form.head + advice


@dataclass(frozen=True)
class Written:
    file: Path
    backup: Path | None
    """A copy of the previous file. None: it was missing or identical, or only our section of it changed."""


def write_instructions(form: Form, text: str, folder: Path) -> Written:
    """Write the text where the host expects it, with the file's line endings. In a shared file only our section is
    written; otherwise a previous file that differs is backed up beside it.

    Raises FileRefused.
    """
    file = folder / form.path
    try:
        refuse_special_file(file)
        before = file.read_bytes().decode("utf-8") if file.exists() else ""
        end_of_line = "\r\n" if "\r\n" in before else "\n"
        text = text.replace("\n", end_of_line)
        after = _with_section(before, text, end_of_line, file) if form.is_shared else text
        if after == before:
            return Written(file, backup=None)
        file.parent.mkdir(parents=True, exist_ok=True)
        backup = None if form.is_shared or not before else _back_up(file, before.encode())
        # A symbolic link stays a link.
        replace_file(Path(os.path.realpath(file)), after.encode(), new_mode=0o644)
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(f"{file}: it cannot be written ({error}). Nothing was changed.") from error
    return Written(file, backup)


_MARKER = re.compile(rf"^[ \t]*(?:(?P<begin>{re.escape(BEGIN)})|{re.escape(END)})[ \t]*\r?(?:\n|\Z)", re.MULTILINE)


def _with_section(before: str, text: str, end_of_line: str, file: Path) -> str:
    part = f"{BEGIN}{end_of_line}{text}{END}{end_of_line}"
    markers = list(_MARKER.finditer(before))
    if not markers:
        return f"{before.rstrip()}{end_of_line * 2}{part}" if before.strip() else part
    for index, marker in enumerate(markers):
        if index > 1 or (marker["begin"] is not None) != (index == 0) or len(markers) == 1:
            line = before.count("\n", 0, marker.start()) + 1
            raise FileRefused(
                f"{file}, line {line}: {marker[0].strip()} has no partner, so which lines are Chargehand's is not"
                f" clear. Keep one {BEGIN} with one {END} below it, or remove these lines. Nothing was changed."
            )
    begin, end = markers
    return f"{before[: begin.start()]}{part}{before[end.end() :]}"


def _back_up(file: Path, before: bytes) -> Path:
    """Write a backup beside the file, without overwriting a different one. Returns its path."""
    names = (f"{file.name}{BACKUP}{f'-{number}' if number > 1 else ''}" for number in itertools.count(1))
    backups = map(file.with_name, names)
    backup = next(one for one in backups if not one.exists() or one.read_bytes() == before)
    replace_file(backup, before, new_mode=0o644)
    return backup
