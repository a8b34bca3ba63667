"""Errors of mining a git history.

CallerError
└── HistoryUnreadable
"""

from ...tools.errors import CallerError


class HistoryUnreadable(CallerError):
    """The history cannot be mined. The message says what to fix, or which folder to name instead."""
