"""argparse types for option values: numbers within bounds, US dollars, dates."""

import argparse
import datetime as dt
import re
from collections.abc import Callable


def whole(least: int, most: int) -> Callable[[str], int]:
    """The argparse type for an integer within these bounds, inclusive."""

    def number(text: str) -> int:
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between {least} and {most}")
        return value

    return number


def real(least: float, most: float) -> Callable[[str], float]:
    """The argparse type for a number within these bounds, inclusive."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number between {least:.10g} and {most:.10g}")
        return value

    return number


def usd(text: str) -> float:
    """US dollars; infinite for `none`."""
    if text == "none":
        return float("inf")
    try:
        return _DOLLARS(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or `none`") from error


_DOLLARS = real(0, 1_000)


def day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; use YYYY-MM-DD, e.g. 2026-05-31") from error
