"""The task that most tests of the server delegate, its tests, and answers that pass or fail them."""

from running_server import fenced

from chargehand.evaluation.peers.reply import Reply

RENAME = "Rename the variable n to count in this function: def double(n): return 2 * n"
TESTS = "assert double(4) == 8"
RIGHT = Reply(fenced("def double(count):\n    return 2 * count"))
WRONG = Reply(fenced("def double(count):\n    return count ** 2"))
STILL_WRONG = Reply(fenced("def double(count):\n    return count + 2"))
