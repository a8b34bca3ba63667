"""Which addresses may be bound, and the access rules and URL of each binding."""

import pytest
from pydantic import SecretStr

from chargehand.server.http.binding import Binding
from chargehand.server.http.serving import CannotListen, listen
from chargehand.server.settings import BadSetting

TOKEN = SecretStr("a-token-of-thirty-two-characters")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_loopback_binding_needs_no_token(host: str):
    assert Binding(host=host).access_rules(None).is_open


@pytest.mark.parametrize(
    "binding",
    [
        Binding(host="0.0.0.0", allowed_hosts=("box.lan",)),
        Binding(host="::", allowed_hosts=("box.lan",)),
        Binding(host="box.lan"),
        Binding(public_url="https://a.example/mcp"),
    ],
)
def test_a_binding_reachable_from_other_machines_requires_a_token(binding: Binding):
    with pytest.raises(BadSetting, match="set CHARGEHAND_HTTP_TOKEN, or give --issuer URL"):
        binding.access_rules(None)

    assert not binding.access_rules(TOKEN).is_open


@pytest.mark.parametrize(
    ("binding", "token", "message"),
    [
        (Binding(), SecretStr("short"), "CHARGEHAND_HTTP_TOKEN: it is shorter than 24 characters."),
        (Binding(issuer="http://issuer.example"), None, "--issuer: http://issuer.example must be https"),
        (Binding(), SecretStr("ü" * 24), "CHARGEHAND_HTTP_TOKEN: it must be in ASCII and without spaces"),
        (Binding(), SecretStr("six words " * 3), "CHARGEHAND_HTTP_TOKEN: it must be in ASCII and without spaces"),
    ],
)
def test_an_unsafe_token_or_issuer_is_refused(binding: Binding, token: SecretStr | None, message: str):
    with pytest.raises(BadSetting) as refused:
        binding.access_rules(token)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("/mcp", "'/mcp' has no scheme."),
        ("box.example/mcp", "'box.example/mcp' has no scheme."),
        ("", "'' has no scheme."),
        ("ftp://box.example/mcp", "'ftp://box.example/mcp' must begin with https:// or http://."),
        ("https:///mcp", "'https:///mcp' must be a host and a path"),
        ("https://box.example/mcp?x=1", "'https://box.example/mcp?x=1' must be a host and a path"),
        ("https://box.example:99999/mcp", "'https://box.example:99999/mcp' is not a URL: "),
        ("https://[::1/mcp", "'https://[::1/mcp' is not a URL: "),
        ("https://*/mcp", "'https://*/mcp' does not name one host."),
        ("https://a.example", "https://a.example must have the path /mcp."),
        ("https://a.example/tools/mcp", "https://a.example/tools/mcp must have the path /mcp."),
    ],
)
def test_an_invalid_public_url_is_refused_with_the_reason(value: str, message: str):
    with pytest.raises(BadSetting) as refused:
        Binding(public_url=value).access_rules(TOKEN)

    assert str(refused.value).startswith(f"--public-url: {message}")


@pytest.mark.parametrize(
    "binding",
    [
        Binding(public_url="https://u:secret@box.example/mcp"),
        Binding(public_url="u:secret@box.example/mcp"),
        Binding(host="u:secret@box.example"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(binding: Binding):
    with pytest.raises(BadSetting) as refused:
        binding.access_rules(TOKEN)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["*", "https://box.lan", "box.lan:8765", "box.lan/mcp", "", "a b", "[::1"])
@pytest.mark.parametrize("option", ["--allow-host", "--host"])
def test_an_invalid_host_name_is_refused(option: str, value: str):
    binding = Binding(host=value) if option == "--host" else Binding(host="0.0.0.0", allowed_hosts=(value,))

    with pytest.raises(BadSetting) as refused:
        binding.access_rules(TOKEN)

    assert str(refused.value).startswith(f"{option}: {value!r} is not the name of a host. Give the name alone")


@pytest.mark.parametrize("value", ["", "https://", "ftp://x", "https://[::1", "https://a b", "login.example"])
def test_an_invalid_issuer_url_is_refused(value: str):
    with pytest.raises(BadSetting, match=r"^--issuer: "):
        Binding(issuer=value).access_rules(None)


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a\\b", "ü"])
def test_an_invalid_scope_is_refused(value: str):
    with pytest.raises(BadSetting, match=r"^--scope: .* must be one word"):
        Binding(issuer="https://login.example", scopes=(value,)).access_rules(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
def test_binding_all_interfaces_requires_an_allowed_host_or_a_public_url(host: str):
    with pytest.raises(BadSetting, match="Add --allow-host NAME or --public-url URL"):
        Binding(host=host).access_rules(TOKEN)


@pytest.mark.parametrize(
    ("binding", "url"),
    [
        (Binding(host="0.0.0.0", allowed_hosts=("Box.LAN", "other.lan")), "http://box.lan:8765/mcp"),
        (Binding(host="0.0.0.0", allowed_hosts=("box.lan",), port=80), "http://box.lan/mcp"),
        (Binding(host="::", allowed_hosts=("fd00::1",)), "http://[fd00::1]:8765/mcp"),
        (Binding(host="192.168.0.7", allowed_hosts=("box.lan",)), "http://192.168.0.7:8765/mcp"),
        (Binding(host="fe80::1%eth0"), "http://[fe80::1]:8765/mcp"),
        (Binding(public_url="https://Box.Example:443/mcp/"), "https://box.example/mcp"),
        (Binding(public_url="https://bücher.example:8443/mcp"), "https://xn--bcher-kva.example:8443/mcp"),
    ],
)
def test_the_url_of_a_binding_is_the_address_that_clients_use(binding: Binding, url: str):
    binding.access_rules(TOKEN)

    assert binding.url == url


def test_a_port_in_use_is_named_with_the_remedy():
    with listen(Binding(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{port}: .*Choose another --port"):
            listen(Binding(port=port))
