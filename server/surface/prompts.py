"""Two prompts that the user can pick in the host: delegate a task, and a strategic checkpoint.

Each has one argument: Claude Code 2.1 splits what the user types at every space and gives each argument one word, so
that further arguments would get words of the task. (Observed on 2026-11-30; it shows its model all words beside.)
"""

from mcp.server.mcpserver.prompts.base import Prompt, PromptArgument, UserMessage

from .icon import ICON

_DELEGATE = """\
Hand this piece of work to Chargehand instead of writing it yourself, and take responsibility for the result.

Task, in the user's words: {task}
(If that is only the first word of what the user wrote, take all of it from the user's message.)

1. Check whether delegating pays off. It does when the result is more than about 200 tokens, can be checked, and you \
know which files matter. For a change of a line or two, or one that depends on this conversation, do it yourself and \
say so.
2. Make the task self-contained: the model does not see this chat. Name the function or file, its inputs and outputs, \
the edge cases, and what must not change. One task, one result.
3. Give `tests` that would fail on a wrong answer: asserts on the edge cases, or the paths of existing tests. Without \
them the best possible result is `unverified`.
4. Name files in `context_files`; do not paste them. Omit `model`, because the router knows how each model has done \
before, unless the user names one.
5. Call delegate_generation once, with all of this; with `output` as "apply" and a `target`, verified code goes \
straight into the file, not through this chat. While it says `running`, call delegate_generation(resume=task_id).
6. `succeeded`: insert the code, unless it was applied, and run the project's own tests. `unverified`: read every line \
first. `failed`: read what the last check said; make the task more precise or do it yourself; do not resend the same \
text. `over_budget` and `refused`: tell the user what the notes say.
7. Call report_outcome with what you did: accepted, edited, rejected, tests_passed or tests_failed. It decides which \
model gets the next similar task.
"""

_CHECKPOINT = """\
We are at a checkpoint. Ask the most senior model whether to continue, in one call to strategic_review, and follow its \
answer.

Goal, in the user's words: {goal}
(If that is only the first word of what the user wrote, take all of it from the user's message.)

1. Take stock before you ask: what is done and works (say how you know), what is not, what was tried and abandoned, \
what it has cost so far, and what you would do next. Facts, not effort; at most a page.
2. Call strategic_review with that as `progress`, and what the user wants decided, if anything, as `question`. Put \
plans or designs that it must see into `context_files`, as paths. It answers in one or two sentences; calls per day \
are limited, so do not use it for code (validate_code) or for choices that you can undo in a minute.
3. `continue`: say what comes next and do it. `redirect`: say what changes and what is discarded, before you write \
anything. `stop`: stop, and tell the user why.
"""


def prompts() -> list[Prompt]:
    """The prompts, in the order in which hosts list them."""
    return [
        Prompt(
            name="delegate",
            title="Delegate a task",
            description="Write a task so that another model gets it right, hand it over, and judge what comes back.",
            arguments=[
                PromptArgument(name="task", description="What to do, in which files, in your own words.", required=True)
            ],
            fn=_delegate,
            context_kwarg=None,
            icons=[ICON],
        ),
        Prompt(
            name="checkpoint",
            title="Strategic checkpoint",
            description="Take stock of the work and ask the director whether to continue, redirect or stop.",
            arguments=[
                PromptArgument(
                    name="goal", description="What the work is for, and what you want decided.", required=True
                )
            ],
            fn=_checkpoint,
            context_kwarg=None,
            icons=[ICON],
        ),
    ]


async def _delegate(task: str) -> UserMessage:
    return UserMessage(_DELEGATE.format(task=task.strip()))


async def _checkpoint(goal: str) -> UserMessage:
    return UserMessage(_CHECKPOINT.format(goal=goal.strip()))
