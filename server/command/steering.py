"""What a host's model is told, in a file of its own project, of when to delegate: a skill, a rule, or a section."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...memory_store.adherence import ClassUsage
from ...profiles.price import in_dollars
from ...profiles.whole_files import replace_file
from ...tools.errors import FileRefused

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
    """How one kind of host wants it."""

    path: str
    """Of the file, from the project's folder; forward slashes."""
    head: str
    """What stands before the advice."""
    is_shared: bool
    """Whether others write in the file too: then only the part between our marks is ours."""


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
    """The whole text. form: None is the advice alone. classes: what the books say of each kind of task."""
    losing = [c for c in classes if c.loses_money]
    lines = [
        f"- it is {c.task_type}: over {c.judged} tasks here it cost {in_dollars(c.lost_usd)} more than it was worth;"
        for c in losing
    ]
    advice = _ADVICE.format(losing="".join(f"{line}\n" for line in lines))
    return advice if form is None else form.head + advice


def write_instructions(form: Form, text: str, folder: Path) -> Path:
    """Write the text where the host finds it; in a shared file only between our marks. Gives the file.

    Raises FileRefused.
    """
    file = folder / form.path
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        after = _put_in(before, text) if form.is_shared else text
        if after != before:
            file.parent.mkdir(parents=True, exist_ok=True)
            # A link stays a link.
            replace_file(Path(os.path.realpath(file)), after.encode(), new_mode=0o644)
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(f"{file}: it cannot be written ({error}). Nothing was changed.") from error
    return file


def _put_in(before: str, text: str) -> str:
    part = f"{BEGIN}\n{text}{END}\n"
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}\n?", re.DOTALL)
    if marked.search(before):
        return marked.sub(lambda _: part, before, count=1)
    return f"{before.rstrip()}\n\n{part}" if before.strip() else part
