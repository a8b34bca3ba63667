"""The recorded answers that `chargehand demo` uses when no model is available.

Only `demo` may import this module: everything else in a rehearsal (routing, sandbox, escalation, books) is real.
"""

from ...evaluation.peers.reply import Ask, HttpFault, Reply

TASK = """\
Rename the variable middel to middle:

def median(numbers):
    ordered = sorted(numbers)
    middel = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middel]
    return (ordered[middel - 1] + ordered[middel]) / 2
"""

TESTS = """\
assert median([3, 1, 2]) == 2
assert median([4, 1, 3, 2]) == 2.5
assert median([7]) == 7
"""

_MISSES_ONE_PLACE = """\
```python
def median(numbers):
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middel - 1] + ordered[middle]) / 2
```
"""

_RIGHT = """\
```python
def median(numbers):
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
```
"""

_REVIEW = """\
{"verdict": "pass", "findings": [{"severity": "warning", "quote": "sorted(numbers)",
 "message": "An empty list raises IndexError; say so or handle it."}]}"""

_DIRECTION = """\
{"verdict": "continue", "guidance": "The function is verified; decide what an empty list means, then go on."}"""


def recorded_answer(ask: Ask) -> Reply | HttpFault:
    """The recorded answer of a model; a local model always gives the same wrong one."""
    prompt = "\n".join(text for _, text in ask.messages)
    if "You direct a software project" in prompt:
        return Reply(_DIRECTION, thinking_tokens=40)
    if "You review code for defects" in prompt:
        return Reply(_REVIEW, thinking_tokens=60)
    if "median" not in prompt:
        return HttpFault(500, message="a rehearsal only knows its own task")
    return Reply(_MISSES_ONE_PLACE if ":" in ask.model else _RIGHT)
