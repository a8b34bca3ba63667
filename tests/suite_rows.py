"""Small suite tasks for tests; they are not part of the project's own suite."""

from dataclasses import replace

from running_server import fenced

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.suite.task import SuiteTask

SHOUT = SuiteTask(
    id="shout@1",
    kind="simple_generation",
    language="python",
    complexity=2.0,
    prompt="Write a function shout(text) that gives the text in capital letters.",
    tests="assert shout('ab c') == 'AB C'",
    reference="```python\ndef shout(text):\n    return text.upper()\n```\n",
    wrong=("```python\ndef shout(text):\n    return text\n```\n", "```python\ndef shout(text):\n    pass\n```\n"),
)

RIGHT = Reply(fenced("def shout(text):\n    return text.upper()"))
WRONG = Reply(fenced("def shout(text):\n    return text.lower()"))
"""Answers to SHOUT, and to every `item`."""

RIGHT_PROJECT = (
    "shop/total.py\n```python\n<<<<<<< SEARCH\n    return sum(prices)\n=======\n    return round(sum(prices), 2)\n"
    ">>>>>>> REPLACE\n```\n"
)


def item(name: str, **changed) -> SuiteTask:
    """SHOUT under another id."""
    return replace(SHOUT, id=name, **changed)


def project_item(name: str = "total@1") -> SuiteTask:
    """A task that changes one file of a project and is tested by another."""
    return SuiteTask(
        id=name,
        kind="multi_file_change",
        language="python",
        complexity=4.0,
        prompt="Round the total of shop/total.py to cents.",
        tests="test_total.py",
        reference=RIGHT_PROJECT,
        wrong=("", ""),
        files={
            "shop/__init__.py": "",
            "shop/total.py": "def total(prices):\n    return sum(prices)\n",
            "test_total.py": "from shop.total import total\n\ndef test_total():\n    assert total([0.1, 0.2]) == 0.3\n",
        },
        target="shop/total.py",
    )
