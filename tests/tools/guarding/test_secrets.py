"""What is taken for a secret, and what is not."""

import pytest
from planted import AWS_KEY, HARMLESS, SECRETS, drawn

from chargehand.tools.guarding.secrets import SecretSearch, placeholder

SEARCH = SecretSearch()


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_a_secret_of_each_kind_is_found_among_code(kind: str, text: str):
    found = SEARCH.find(f"import os\n\n{text}\n\nprint(os.name)\n")

    assert [(secret.kind, secret.line >= 3) for secret in found] == [(kind, True)]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_raises_no_alarm(text: str):
    assert SEARCH.find(f"# a line\n{text}\n# another\n") == ()


@pytest.mark.parametrize("text", [text for texts in SECRETS.values() for text in texts])
def test_what_is_redacted_holds_no_secret_any_more_and_keeps_its_lines(text: str):
    redacted = SEARCH.redact(f"before\n{text}\nafter\n")

    assert SEARCH.find(redacted) == ()
    assert redacted.startswith("before\n")
    assert redacted.endswith("\nafter\n")


def test_a_finding_says_the_line_and_never_the_secret():
    text = f"a\nb\nkey = '{AWS_KEY}'\nc\n{AWS_KEY}\n"

    first, second = SEARCH.find(text)

    assert (first.line, second.line) == (3, 5)
    assert text[first.start : first.end] == AWS_KEY.removeprefix("AKIA")
    assert AWS_KEY[4:] not in repr((first, second))


def test_only_the_secret_part_of_an_assignment_is_replaced():
    text = 'DB_PASSWORD = "' + 'Xk29fLq81z"\n'

    assert SEARCH.redact(text) == f'DB_PASSWORD = "{placeholder("password")}"\n'


def test_letters_that_change_length_in_lower_case_do_not_move_a_finding():
    text = "İİİİ Çẞİ\n" + AWS_KEY

    (found,) = SEARCH.find(text)

    assert text[found.start : found.end] == AWS_KEY[4:]
    assert found.line == 2


@pytest.mark.parametrize("pattern", SEARCH.shipped, ids=lambda pattern: pattern.name)
def test_a_pattern_ends_soon_on_a_text_made_against_it(pattern):
    # As many needles as there is room for, and what its repeats take: all of these ran for minutes with open repeats.
    needle = pattern.needles[0]
    for filling in ("", "a" * 40, " " * 8, "A1" * 12, ": ", "\n"):
        SEARCH.find((needle + filling) * (200_000 // len(needle + filling)))


def test_each_pattern_names_its_source_and_has_needles():
    for pattern in SEARCH.shipped:
        assert pattern.source.startswith("https://")
        assert all(len(needle) >= 2 for needle in pattern.needles)


def test_a_secret_is_found_wherever_it_stands_in_a_long_text():
    filler = "x = compute(1, 2)\n" * 60_000

    for place in (0, len(filler) // 2, len(filler)):
        text = filler[:place] + "\nghp_" + drawn(36) + "\n" + filler[place:]
        assert [secret.kind for secret in SEARCH.find(text)] == ["github-token"]
