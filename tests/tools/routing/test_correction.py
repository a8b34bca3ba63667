"""The correction of complexity by fitted weights: its size, the texts it applies to, and its stability."""

import json

import pytest
from labelled_tasks import ALL

from chargehand.tools.routing.complexity import Complexity, score_complexity
from chargehand.tools.routing.correction import MOST_POINTS, WEIGHTS
from chargehand.tools.routing.task_type import infer_task_type

EASY_CONTEST = """\
You are given a string s of lowercase English letters. Count how many of its letters are vowels and print that
number. A vowel is one of a, e, i, o and u. If there is no vowel in the string, print 0 instead. The length of s is
at least 1 and at most 100, and the string holds no spaces and no digits. For each test there is exactly one line of
input, which holds the string, and exactly one line of output is expected, which holds the number of vowels.
"""
HARD_CONTEST = """\
There is an undirected tree with N vertices numbered 1 to N, and each edge has a cost. You are given Q queries, each
of which changes the cost of one edge and then asks for the number of paths, modulo 998244353, whose total cost is
divisible by K. A path is a sequence of distinct vertices in which consecutive ones are adjacent. Find the answer
to all queries under the constraints 2 <= N <= 2 * 10^5, 1 <= Q <= 10^5, 1 <= K <= 10^9. The answer may be very
large, so each must be printed modulo 998244353, in the order in which the queries were given in the input.
"""
ISSUE = """\
When a form is submitted twice within one second, the second submission overwrites the draft of the first one and
the user sees a blank page. This only happens when the cache is warm and the session was restored from a cookie. We
expected the second submission to be ignored, and a message to be shown. It has been reported by several users since
the last release, and going back to the previous release makes it go away. Please find out what is wrong and fix it.
"""
TEXTS = (EASY_CONTEST, HARD_CONTEST, ISSUE)
REWORDED = (
    """\
A string s that consists only of lowercase English letters is given to you. Print the number of vowels it contains,
where the vowels are a, e, i, o and u; when it contains none of them, the output should be 0. The string has between
1 and 100 letters, and neither digits nor spaces occur in it. The input of every test is a single line with the
string, and your program should answer with a single line that holds how many of the letters are vowels.
""",
    """\
An undirected tree whose N vertices are numbered from 1 to N is given, with a cost on every edge. Each of Q queries
sets the cost of an edge to a new value and asks how many paths have a total cost that K divides; give that count
modulo 998244353. By a path we mean distinct vertices, one adjacent to the next. Answer all of the queries, where
2 <= N <= 2 * 10^5, 1 <= Q <= 10^5 and 1 <= K <= 10^9. As the numbers can be very large, print every answer modulo
998244353, keeping to the order of the queries in the input.
""",
    """\
Submitting a form two times in less than a second makes the second one replace the first one's draft, and then a
blank page is shown to the user. It takes a warm cache and a session that came back from a cookie for this to
happen. What should happen is that the second submission is ignored and a message appears. Since the last release
several users have told us about it, and with the release before everything is fine. Find the cause and repair it.
""",
)
TRACE = "Traceback (most recent call last):\n" + "".join(
    f'  File "/srv/app/part_{n}.py", line {n}, in step_{n}\n    return follow(step_{n})\n' for n in range(60)
)


def score_of(text: str) -> Complexity:
    return score_complexity(text, infer_task_type(text))


def correction(complexity: Complexity) -> dict[str, float]:
    return {f.name: f.contribution for f in complexity.factors if f.name in ("form", "wording")}


def test_a_hard_contest_problem_scores_at_least_two_points_above_an_easy_one():
    assert score_of(HARD_CONTEST).score >= score_of(EASY_CONTEST).score + 2


@pytest.mark.parametrize(
    "perturbed",
    [
        REWORDED,
        [f"Hello! I hope you are well. Could you please help me with this?\n{t}\nThank you so much!" for t in TEXTS],
        ["".join(reversed([f"{sentence}. " for sentence in t.replace("\n", " ").split(". ")])) for t in TEXTS],
        [t.replace("N", "M").replace("K", "P").replace("Q", "T").replace(" s ", " t ") for t in TEXTS],
        [f"{t}\n{TRACE}\n" for t in TEXTS],
    ],
    ids=["reworded", "politely", "in another order", "other names", "with a long stack trace"],
)
def test_rewording_or_extending_a_task_changes_its_score_by_at_most_one_point(perturbed):
    for text, perturbed_text in zip(TEXTS, perturbed, strict=True):
        assert round(abs(score_of(perturbed_text).score - score_of(text).score), 1) <= 1.0, text


def test_short_requests_get_no_correction():
    short = [label for label in ALL if len(label.task.split()) <= 20]

    assert len(short) > 50
    assert all(not correction(score_complexity(label.task, label.task_type)) for label in short)


def test_the_corrections_for_form_and_wording_are_bounded():
    for text in (*TEXTS, "modulo " * 500, "graph of queries " * 200, "you your " * 400, "10^18 " * 300):
        assert all(abs(points) <= MOST_POINTS for points in correction(score_of(text)).values())


def test_the_weights_name_their_sources_with_licence_and_checksum():
    content = json.loads(WEIGHTS.read_text(encoding="utf-8"))

    assert WEIGHTS.stat().st_size < 200_000
    assert len(content["sources"]) == 4
    for source in content["sources"]:
        assert source["licence"].startswith(("MIT", "CC BY 4.0"))
        assert source["checksum"].startswith("sha256:")
        assert source["tasks"] > 100
