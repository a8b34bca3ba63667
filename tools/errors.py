"""What a caller can mend: each becomes an error that the calling model reads.

CallerError
├── BadArgument      a value that cannot be used: correct it
├── FileRefused      a file argument that may not, or cannot, be read
│   └── FileMissing  there is no such file
├── NoRoots          file arguments without any folder that may be read
├── UnknownTask      a task_id that nobody knows here
├── NobodyToAsk      no model can take the question: set the key or run the command it names
└── LimitReached     a daily limit is used up: the message says when it starts anew

Privacy and money are no errors: they end a call with a status.
"""


class CallerError(Exception):
    """A call that cannot be carried out as it stands. The message names value, place and remedy."""


class BadArgument(CallerError):
    """An argument, or a combination of them, that cannot be used."""


class FileRefused(CallerError):
    """A file that is outside the roots, missing, not regular, too large, or not text."""


class FileMissing(FileRefused):
    """There is nothing under the name."""


class NoRoots(CallerError):
    """There is no folder from which files may be read."""


class UnknownTask(CallerError):
    """No task of that id is under way in this process or written in the ledger."""


class NobodyToAsk(CallerError):
    """No model is there that could take the question, or it did not answer."""


class LimitReached(CallerError):
    """As many calls as a day allows have been made."""


OF_ANOTHER_PROJECT = "It was done in another project: a server of that project shows its text and result."


def unknown_task(task_id: str) -> UnknownTask:
    return UnknownTask(
        f"task_id: no task {task_id[:64]!r} is known. Use the task_id that delegate_generation gave, from the same"
        " CHARGEHAND_HOME."
    )
