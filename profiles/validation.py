"""Pydantic's validation errors in one line."""

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str = "") -> str:
    """The first problem as `field: message`, without the invalid value, which may be private.

    whole: stands for the field if the data as a whole is invalid. Empty: only the message is returned then.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or whole
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
