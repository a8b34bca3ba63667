"""The user's own patterns of secrets: what they find, and which patterns are refused."""

import itertools

import pytest

from chargehand.tools.guarding.own_patterns import BadPattern, OwnPattern, own_pattern
from chargehand.tools.guarding.secrets import SecretSearch


@pytest.mark.parametrize(
    ("regex", "text", "found"),
    [
        (r"ACME-\d{4}", "x ACME-2026 y ACME-2027", ["ACME-2026", "ACME-2027"]),
        (r"badge=(?P<value>\w{4,20})", "badge=walrus9", ["walrus9"]),
        (r"(?i)internal-[a-z]+", "see INTERNAL-zebra", ["INTERNAL-zebra"]),
        (r"(?:[0-9]{4}-){3}[0-9]{4}", "card 1234-5678-9012-3456.", ["1234-5678-9012-3456"]),
        (r"corp\.example\.(?:com|org)/\w+", "corp.example.org/abc", ["corp.example.org/abc"]),
        (r"[\]x-]+!", "a ]x-]! b", ["]x-]!"]),
    ],
)
def test_users_patterns_find_their_secrets(regex: str, text: str, found: list[str]):
    spans = own_pattern("mine", regex).spans(f"first line\n{text}\nlast")

    content = f"first line\n{text}\nlast"
    assert [content[start:end] for start, end in spans] == found


@pytest.mark.parametrize(
    "regex",
    [
        "(a+)+b", "(a|a)*b", "(?:a|ab)+c", "(x+x+)+y", r"(\w*)*", "(a?){30}a{30}", "((ab)*)*c", "a*a*a*b",
        r"(\w)\1", "(?=a)b", "(?<!a)b", "(?P<q>a)(?P=q)", r".*.*.*x", "(?>a)b|(a+)+", "a{0,60}" * 4 + "b",
    ],
)  # fmt: skip
def test_patterns_open_to_catastrophic_backtracking_are_refused(regex: str):
    with pytest.raises(BadPattern, match=r"^mine: some texts could make it search forever"):
        own_pattern("mine", regex)


@pytest.mark.parametrize("regex", ["(", "[a", "a{2", "x*", "", "a|", r"\d*", "a" * 301])
def test_invalid_empty_and_overlong_patterns_are_refused(regex: str):
    if regex == "a{2":  # Python takes this as literal text
        assert own_pattern("mine", regex).spans("a{2")
        return
    with pytest.raises(BadPattern, match=r"^mine: "):
        own_pattern("mine", regex)


def test_a_long_line_is_searched_in_overlapping_chunks():
    pattern = own_pattern("mine", "ACME-[a-z]{40,60}")
    needle = "ACME-" + "walrus" * 8

    for offset in range(0, 1200, 37):
        spans = set(pattern.spans("." * offset + needle + "." * 900))
        assert (offset, offset + len(needle)) in spans


def test_when_a_search_times_out_the_rest_of_the_text_counts_as_secret():
    pattern = own_pattern("slow", "ACME-[0-9]+")
    ticks = itertools.count()
    timed = OwnPattern(pattern.name, pattern.regex, clock=lambda: float(next(ticks)))
    text = "one\ntwo\nthree\nfour\n"

    (found,) = SecretSearch(own=[timed]).find(text)

    assert (found.kind, found.line) == ("slow", 3)
    assert found.end == len(text)


def test_a_slow_allowed_pattern_terminates_on_an_adversarial_text():
    pattern = own_pattern("slow", r"\w+-?\w+!")

    list(pattern.spans("a" * 20_000 + "\n" + "b" * 20_000))


def test_two_adjacent_secrets_are_both_redacted():
    search = SecretSearch((own_pattern("first", "AB-[0-9]{4}"), own_pattern("second", "CD-[0-9]{4}")))

    assert search.redact("AB-1234CD-5678") == "<redacted:first><redacted:second>"
