"""What may be listened on, and what it then takes."""

import pytest
from pydantic import SecretStr

from chargehand.server.http.binding import Binding
from chargehand.server.http.serving import CannotListen, listen
from chargehand.server.settings import BadSetting

TOKEN = SecretStr("a-token-of-thirty-two-characters")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_alone_may_be_served_without_a_token(host: str):
    assert Binding(host=host).entrance(None).is_open


@pytest.mark.parametrize(
    "binding",
    [Binding(host="0.0.0.0"), Binding(host="::"), Binding(host="box.lan"), Binding(public_url="https://a.example/mcp")],
)
def test_what_can_be_reached_from_elsewhere_asks_for_a_token(binding: Binding):
    with pytest.raises(BadSetting, match="set CHARGEHAND_HTTP_TOKEN, or give --issuer URL"):
        binding.entrance(None)

    assert not binding.entrance(TOKEN).is_open


@pytest.mark.parametrize(
    ("binding", "token", "said"),
    [
        (Binding(), SecretStr("short"), "CHARGEHAND_HTTP_TOKEN: it is shorter than 24 characters."),
        (Binding(issuer="http://issuer.example"), None, "--issuer: http://issuer.example must be https"),
        (Binding(public_url="https://a.example"), TOKEN, "--public-url: https://a.example must be a URL that ends in"),
    ],
)
def test_what_would_not_be_safe_is_refused_before_anything_is_served(
    binding: Binding, token: SecretStr | None, said: str
):
    with pytest.raises(BadSetting) as refused:
        binding.entrance(token)

    assert str(refused.value).startswith(said)


def test_behind_a_proxy_its_name_is_answered_and_tokens_are_made_out_for_it():
    binding = Binding(public_url="https://a.example/mcp")
    security = binding.transport_security()

    assert binding.url == "https://a.example/mcp"
    assert "a.example" in security.allowed_hosts
    assert "https://a.example" in security.allowed_origins


def test_a_port_that_is_taken_is_named_with_the_remedy():
    with listen(Binding(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{port}: .*Give another --port"):
            listen(Binding(port=port))
