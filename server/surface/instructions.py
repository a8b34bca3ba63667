"""The server's instructions and tool descriptions for the calling model."""

INSTRUCTIONS = """\
Chargehand hands a coding task to the cheapest model that gets it right, runs your tests on what comes back, and \
escalates when they fail.
Delegate when the result is more than about 200 tokens, can be checked, and you know which files matter: functions \
from a clear description, tests, fixes with a failing test, documentation, format changes, translations.
Do it yourself when the change is a line or two, when it depends on this conversation, or when writing the task down \
takes as long as doing it.
Give `tests` whenever you can: only an executed check leads to `succeeded`. Name files in `context_files` instead of \
pasting them: the server reads them itself.
`succeeded`: an executed check passed. `unverified`: read the code before you use it. `failed`: no model passed. \
`running`: call delegate_generation(resume=task_id).
With output=apply and `target` the result is checked in a copy, then written to disk, so no code passes through you; \
only `target`, `context_files` and new files beside them are written, and `chargehand undo` reverts it.
Afterwards report_outcome tells the router what the work was worth."""

DESCRIPTIONS = {
    "route_task": (
        "Say which model should do a coding task, with its expected success, cost and time, and why not another."
        " Calls no model. Use it to plan; delegate_generation routes by itself."
    ),
    "delegate_generation": (
        "Have another model write code: routes, generates, runs your `tests` in a sandbox, repairs, escalates."
        " Returns code, or with output=apply writes it, and a receipt: how it was checked, what it cost. Use it for"
        " self-contained work of more than about 200 tokens; not for one-line edits. Give `task` or `resume`."
        " `succeeded` means an executed check passed; `unverified` code needs your review; `running` means call again"
        " with `resume`."
    ),
    "validate_code": (
        "Check code: parses and lints it, runs `tests` in a sandbox, and has a senior model look for defects."
        " Give one of `code`, `files`, `task_id`. Returns a verdict with quoted findings. Free checks run first."
    ),
    "strategic_review": (
        "Ask the most senior model whether a project should continue, change course or stop. Answers in one or two"
        " sentences. Limited calls per day: use it only at major checkpoints, not for code review (validate_code)."
    ),
    "report_outcome": (
        "Report what happened to delegated work, so that similar tasks go to the right model. Safe to repeat."
    ),
}
