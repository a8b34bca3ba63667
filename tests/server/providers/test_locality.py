"""Which hosts count as the user's own machine, and how address settings are interpreted."""

import pytest

from chargehand.server.providers.locality import InvalidAddress, is_local_host, is_local_url, ollama_url, vendor_url


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "models.localhost",
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
    ],
)
def test_loopback_is_local(host):
    assert is_local_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com",
        "notlocalhost",
        "192.168.1.5",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "127.1",
        "2130706433",
        "127.0.0.1.example.com",
    ],
)
def test_other_hosts_are_not_local(host):
    assert not is_local_host(host)


def test_a_host_that_the_user_lists_as_local_is_local():
    local_hosts = frozenset({"Studio.lan", "192.168.1.5"})

    assert is_local_host("studio.lan", local_hosts)
    assert is_local_host("192.168.1.5", local_hosts)
    assert not is_local_host("192.168.1.6", local_hosts)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("unix:///run/ollama.sock", True),
        ("http+unix://%2Frun%2Follama.sock", True),
        ("http://[::1]:11434/v1", True),
        ("https://api.anthropic.com", False),
        ("http://localhost@evil.example", False),
        ("http://", False),
    ],
)
def test_a_url_is_local_if_its_host_is(url, local):
    assert is_local_url(url) is local


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  ", "http://127.0.0.1:11434"),
        ("studio.lan", "http://studio.lan:11434"),
        ("studio.lan/", "http://studio.lan:11434"),
        ("studio.lan:8080", "http://studio.lan:8080"),
        ("http://studio.lan", "http://studio.lan:80"),
        ("https://studio.lan", "https://studio.lan:443"),
        ("https://studio.lan:8443/ollama/", "https://studio.lan:8443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9999", "http://127.0.0.1:9999"),
        ("[::]:9999", "http://[::1]:9999"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("http://fd00::2/ollama", "http://[fd00::2]:80/ollama"),
        (" '1.2.3.4' ", "http://1.2.3.4:11434"),
        (":11435", "http://127.0.0.1:11435"),
    ],
)
def test_ollama_host_is_interpreted_as_by_ollamas_own_client(value, url):
    assert ollama_url(value) == url


@pytest.mark.parametrize(
    "value",
    [
        "ftp://x",
        "http://user@x",
        "http://127.0.0.1\\@evil.example",
        "http://evil.example\\.localhost",
        "a b",
        "x:99999",
        "x:port",
        "http://[::1",
        "::1:11434:x",
    ],
)
def test_an_invalid_or_ambiguous_ollama_host_is_refused_by_name(value):
    with pytest.raises(InvalidAddress, match="OLLAMA_HOST"):
        ollama_url(value)


def test_a_vendors_address_is_its_default_unless_set():
    assert vendor_url("", "X_BASE_URL", "https://api.example.com") == "https://api.example.com"
    assert vendor_url("http://localhost:8080/v1/", "X_BASE_URL", "https://a.example") == "http://localhost:8080/v1"


@pytest.mark.parametrize("value", ["api.example.com", "file:///etc/passwd", "https://", "https://key@api.example.com"])
def test_a_vendors_address_must_be_http(value):
    with pytest.raises(InvalidAddress, match="X_BASE_URL"):
        vendor_url(value, "X_BASE_URL", "https://api.example.com")
