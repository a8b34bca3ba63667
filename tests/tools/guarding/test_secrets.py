"""Finding and redacting secrets, and what is not mistaken for one."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from planted import AWS_KEY, HARMLESS, SECRETS, random_text

from chargehand.tools.guarding.own_patterns import own_pattern
from chargehand.tools.guarding.secrets import SecretSearch, placeholder

SEARCH = SecretSearch()


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_secrets_of_every_kind_are_found_in_code(kind: str, text: str):
    found = SEARCH.find(f"import os\n\n{text}\n\nprint(os.name)\n")

    assert [(secret.kind, secret.line >= 3) for secret in found] == [(kind, True)]


@pytest.mark.parametrize(("kind", "text"), [(kind, texts[0]) for kind, texts in SECRETS.items()])
def test_a_secret_is_found_below_the_word_that_begins_it(kind: str, text: str):
    words = next(pattern.needles for pattern in SEARCH.shipped if pattern.name == kind)

    found = SEARCH.find("\n".join([*words, "", text]))

    assert any(secret.kind == kind and secret.line >= len(words) + 2 for secret in found)


@pytest.mark.parametrize(
    ("placeholder", "secret"),
    [("AKIA" + 16 * "X", AWS_KEY), ('password = "changeme"', 'password = "' + 'Xk29fLq81z"')],
)
def test_a_secret_is_found_below_a_placeholder_of_its_kind(placeholder: str, secret: str):
    assert [found.line for found in SEARCH.find(f"{placeholder}\n{secret}\n")] == [2]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_are_not_reported_as_secrets(text: str):
    assert SEARCH.find(f"# a line\n{text}\n# another\n") == ()


@pytest.mark.parametrize("text", [text for texts in SECRETS.values() for text in texts])
def test_redacted_text_contains_no_secret_and_keeps_the_surrounding_lines(text: str):
    redacted = SEARCH.redact(f"before\n{text}\nafter\n")

    assert SEARCH.find(redacted) == ()
    assert redacted.startswith("before\n")
    assert redacted.endswith("\nafter\n")


ENCODED: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "percent": lambda text: quote(text, safe=""),
}
encoded = pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)


@encoded
@pytest.mark.parametrize("text", [text for texts in SECRETS.values() for text in texts])
def test_encoded_secrets_are_found_and_redacted_as_a_whole(encode: Callable[[str], str], text: str):
    encoded_secret = encode(text)
    code = f"import os\n\nX = '{encoded_secret}'\nprint(os.name)\n"
    redacted = SEARCH.redact(code)

    assert {secret.line for secret in SEARCH.find(code)} == {3}
    assert SEARCH.find(redacted) == ()
    assert encoded_secret.strip() not in redacted
    assert redacted.startswith("import os\n\nX = '")
    assert redacted.endswith("print(os.name)\n")


@encoded
@pytest.mark.parametrize("text", HARMLESS)
def test_encoded_harmless_texts_are_not_reported_as_secrets(encode: Callable[[str], str], text: str):
    assert SEARCH.find(f"a = '{encode(text)}'\nword\n") == ()


def test_a_finding_names_its_encoding():
    assert [secret.kind for secret in SEARCH.find(ENCODED["base64"](AWS_KEY))] == ["aws-access-key-in-base64"]


def test_a_word_after_wrapped_base64_does_not_hide_the_secret_in_it():
    lines = ENCODED["base64"](f"{'x' * 87}\n{AWS_KEY}\n").rstrip("=")
    text = f"{lines[:76]}\n{lines[76:]}\nsecrets"

    (found,) = SEARCH.find(text)

    assert text[found.end :] == "\nsecrets"


def test_the_users_own_patterns_are_found_in_encoded_text_too():
    search = SecretSearch(own=(own_pattern("badge", "ACME-[0-9]{4}-[a-z]{4,12}"),))

    (found,) = search.find(f"# {ENCODED['hex']('badge: ACME-1234-wxyz')}")

    assert found.kind == "badge-in-hex"


@pytest.mark.parametrize("run", ["A" * 60 + "\n", "ab", "%41", "%4", "\\x41", "A" * 30 + "/", "A" * 21 + "\n"])
def test_long_texts_that_look_encoded_are_searched_without_findings(run: str):
    assert SEARCH.find(run * 25_000) == ()


def test_a_finding_states_its_line_and_never_the_secret():
    text = f"a\nb\nkey = '{AWS_KEY}'\nc\n{AWS_KEY}\n"

    first, second = SEARCH.find(text)

    assert (first.line, second.line) == (3, 5)
    assert text[first.start : first.end] == AWS_KEY.removeprefix("AKIA")
    assert AWS_KEY[4:] not in repr((first, second))


def test_only_the_secret_part_of_an_assignment_is_replaced():
    text = 'DB_PASSWORD = "' + 'Xk29fLq81z"\n'

    assert SEARCH.redact(text) == f'DB_PASSWORD = "{placeholder("password")}"\n'


def test_letters_whose_lower_case_is_longer_do_not_shift_a_findings_position():
    text = "İİİİ Çẞİ\nDB_PASSWORD = '" + "Xk29fLq81z'"

    (found,) = SEARCH.find(text)

    assert text[found.start : found.end] == "Xk29fLq81z"
    assert found.line == 2


@pytest.mark.parametrize("pattern", SEARCH.shipped, ids=lambda pattern: pattern.name)
def test_every_shipped_pattern_terminates_on_adversarial_texts(pattern):
    # Needles followed by text that the pattern's repeats match: with unbounded repeats these took minutes.
    needle = pattern.needles[0]
    for filling in ("", "a" * 40, " " * 8, "A1" * 12, ": ", "\n"):
        text = (needle + filling) * (100_000 // len(needle + filling))
        list(pattern.spans(text, text.lower()))


def test_every_shipped_pattern_has_a_source_and_search_words():
    for pattern in SEARCH.shipped:
        assert pattern.source.startswith("https://")
        assert all(len(needle) >= 2 for needle in pattern.needles)


def test_a_secret_is_found_at_any_position_of_a_long_text():
    filler = "x = compute(1, 2)\n" * 60_000

    for position in (0, len(filler) // 2, len(filler)):
        text = filler[:position] + "\nghp_" + random_text(36) + "\n" + filler[position:]
        assert [secret.kind for secret in SEARCH.find(text)] == ["github-token"]
