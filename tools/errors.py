"""Errors that the caller can fix; each becomes a tool error that the calling model reads.

CallerError
├── BadArgument      an invalid value: correct it
├── FileRefused      a file argument that may not or cannot be read
│   └── FileMissing  the file does not exist
├── NoRoots          file arguments without any folder that may be read
├── UnknownTask      a task_id that is not known here
├── NoModelAvailable no model is available: set the key or run the command it names
└── LimitReached     a daily limit is used up: the message says when it resets

Privacy and budget limits are not errors: they end a call with a status.
"""

WHERE_VARIABLES_ARE_SET = 'in the "env" block of your host\'s MCP config, or in your shell for a command there'
"""For remedies, which reach hosts and shells alike."""


class CallerError(Exception):
    """A call that cannot be carried out as given. The message names value, place and remedy."""


class BadArgument(CallerError):
    """An argument, or a combination of them, that cannot be used."""


class FileRefused(CallerError):
    """A file that is outside the roots, missing, not regular, too large, or not text."""


class FileMissing(FileRefused):
    """The named file does not exist."""


class NoRoots(CallerError):
    """No folder may be read."""


class UnknownTask(CallerError):
    """No task with that id is running in this process or recorded in the ledger."""


class NoModelAvailable(CallerError):
    """No model is available for the question, or the model did not answer."""


class LimitReached(CallerError):
    """The daily limit of calls is used up."""


OF_ANOTHER_PROJECT = "It was done in another project: a server of that project shows its text and result."


def unknown_task(task_id: str) -> UnknownTask:
    return UnknownTask(
        f"task_id: no task {task_id[:64]!r} is known. Use the task_id that delegate_generation gave, from the same"
        " CHARGEHAND_HOME."
    )
