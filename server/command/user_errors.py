"""Errors of commands that the user can fix: printed to standard error, without a traceback."""

from collections.abc import Callable


class WrongOptions(Exception):
    """Options that cannot go together, or need another one; the message names them."""


def exit_code_of(run: Callable[[], int]) -> int:
    """Run a command. Returns its exit code: 2 for wrong options, 1 for another error that the user can fix."""
    try:
        return run()
    except Exception as error:
        from .reports import USER_FIXABLE, print_error  # imported only when it is needed

        if not isinstance(error, (WrongOptions, *USER_FIXABLE)):
            raise
        print_error(error)
        return 2 if isinstance(error, WrongOptions) else 1
