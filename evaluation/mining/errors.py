"""What can be wrong with a history that tasks are to be mined from.

CallerError
└── HistoryUnreadable
"""

from ...tools.errors import CallerError


class HistoryUnreadable(CallerError):
    """Nothing can be mined here. The message says what to mend, or which folder to name instead."""
