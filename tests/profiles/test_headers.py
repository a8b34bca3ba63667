"""Which headers a profile may name, and that no message repeats a value."""

from pathlib import Path

import pytest

from chargehand.profiles.loading import load_catalogue

PROFILE = """
id: mine
name: Mine
provider: openai_compatible
api_model: org/My-Model
base_url: https://gateway.example/v1
lifecycle: {status: active, source: me, seen: 2026-11-30}
"""
SECRET = "pasted-sEcret-0123"


def _load(folder: Path, text: str):
    (folder / "mine.yaml").write_text(PROFILE + text, encoding="utf-8")
    return load_catalogue(folder)


def test_headers_of_known_gateways_are_taken(tmp_path: Path):
    catalogue = _load(
        tmp_path,
        """
headers:
  x-portkey-provider: anthropic
  x-portkey-api-key: ${PORTKEY_API_KEY}
  x-portkey-config: '{"provider": "openai", "api_key": "${OPENAI_KEY}", "retry": {"attempts": 2}}'
  Helicone-Auth: Bearer ${HELICONE_API_KEY}
  Authorization: Basic ${PROXY_LOGIN}
  HTTP-Referer: https://mine.example
  User-Agent: mine/1.0
""",
    )

    assert catalogue.problems == ()
    assert catalogue.profiles["mine"].variables == ("PORTKEY_API_KEY", "OPENAI_KEY", "HELICONE_API_KEY", "PROXY_LOGIN")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"headers: {{x-my-key: {SECRET}}}", "headers: x-my-key holds a secret; put it into an environment variable"),
        (f"headers: {{Authorization: Bearer {SECRET}}}", "Authorization holds a secret"),
        (f'headers: {{x-config: \'{{"api_key": "{SECRET}"}}\'}}', "x-config holds a secret"),
        (f"headers: {{x-a: '${{not_capitals}} {SECRET}'}}", "x-a has a `${` that is no variable"),
        (f'headers: {{x-a: "{SECRET}\\n"}}', "x-a has a value that no header can have"),
        (f"headers: {{x-a: '{SECRET}é'}}", "x-a has a value that no header can have"),
        ("headers: {x-a: ''}", "x-a has a value that no header can have"),
        (f"headers: {{'x a': {SECRET}}}", "'x a' is not the name of a header"),
        (f"headers: {{Content-Type: {SECRET}}}", "Content-Type cannot be set"),
        (f"headers: {{host: {SECRET}}}", "host cannot be set"),
        (f"headers: {{X-A: {SECRET}, x-a: {SECRET}}}", "X-A is there twice"),
        ("headers: {authorization: 'Bearer ${A}'}\napi_key_env: B", "leave out one of the two"),
        (f"headers: {{x-a: [{SECRET}]}}", "headers.x-a"),
        (f"header: {{x-a: {SECRET}}}", "header: "),
    ],
)
def test_an_unusable_header_is_named_with_the_remedy_and_without_its_value(tmp_path: Path, text: str, expected: str):
    catalogue = _load(tmp_path, text)

    (problem,) = map(str, catalogue.problems)
    assert expected in problem
    assert SECRET not in problem
    assert "mine" not in catalogue.profiles


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("base_url: https://gateway.example", "`base_url` is for models on openai_compatible only; for anthropic set"),
        ("api_key_env: MINE", "for anthropic set ANTHROPIC_API_KEY"),
        ("headers: {x-a: b}", "for anthropic set ANTHROPIC_CUSTOM_HEADERS"),
    ],
)
def test_a_vendors_model_has_its_address_key_and_headers_from_variables(tmp_path: Path, field: str, expected: str):
    (tmp_path / "haiku.yaml").write_text(f"id: claude-haiku-5-5\n{field}\n", encoding="utf-8")

    (problem,) = map(str, load_catalogue(tmp_path).problems)

    assert expected in problem
