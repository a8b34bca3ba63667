"""Redacted and hashed forms of stored texts."""

import time
import timeit

import pytest

from chargehand.memory_store.text_form import fingerprint, redact, stored_text

SECRET = "sk-ant-" + "api03-Zx9" * 3


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Fix `total` in the report", "Fix [code] in the report"),
        ("Repair this:\n```python\nx = 1\n```\nthanks", "Repair this:\n[code]\nthanks"),
        ("An open fence\n```\nx = 1", "An open fence\n[code]"),
        ("Rename n: def double(n): return 2 * n", "Rename n: [code]"),
        ("Look:\n    x = 1\n    y = 2\nend", "Look:\n[code]\nend"),
        ("Call compute(total) twice", "Call [code] twice"),
        ("Read src/app/main.py and C:\\work\\a.txt", "Read [path] and [path]"),
        ("Read settings.toml", "Read [path]"),
        ("Ask ann@example.com or https://user:pw@example.com/a?b=1", "Ask [address] or [address]"),
        ('Print "hello world" and don\'t stop', "Print [string] and don't stop"),
        ("The password is hunter2, API_KEY=abc", "The [secret] [secret]"),
        (f"Use {SECRET} for it", "Use [secret] for it"),
        ("Sort a list of numbers in descending order", "Sort a list of numbers in descending order"),
    ],
)
def test_code_strings_paths_and_secrets_are_replaced_and_words_stay(text: str, kept: str):
    assert redact(text) == kept


def test_a_private_key_is_replaced_as_a_whole():
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----"

    assert redact(f"Load {key} now") == "Load [secret] now"


def test_a_hashed_text_is_its_fingerprint_and_reveals_no_word():
    assert stored_text("secret plan", "hash") == fingerprint("secret plan") != fingerprint("secret plan.")
    assert "plan" not in stored_text("secret plan", "hash")
    assert stored_text("secret plan", "full") == "secret plan"


@pytest.mark.parametrize(
    "piece", ["a", "/", "'", "`", "“", "a/", "(a", "x@", "a.b", " ", "\n", "a=", "pass", "```\n", "a1-"]
)
def test_redaction_takes_linear_time_on_adversarial_texts(piece: str):
    def seconds(characters: int) -> float:
        text = piece * (characters // len(piece))
        return timeit.timeit(lambda: redact(text), timer=time.process_time, number=1)

    assert any(seconds(160_000) < 32 * max(seconds(20_000), 0.01) for _ in range(2))
