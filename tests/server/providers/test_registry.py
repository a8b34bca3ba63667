"""Adapters are found by name, and import no SDK before the first request."""

import subprocess
import sys

import pytest

from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import Provider

SDKS = {"anthropic", "cerebras", "ollama", "openai", "httpx", "httpx2"}

LOAD = """
import sys, anyio
from chargehand.profiles.loading import load_catalogue
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings

async def main():
    profiles = list(load_catalogue())
    for name, load in LOADERS.items():
        provider = load(VendorSettings(anthropic_api_key={key!r}, cerebras_api_key={key!r}))
        if name != "ollama":
            known = await provider.availability([p for p in profiles if p.provider == name])
            assert all(a.is_reachable == bool({key!r}) for a in known.values())
        await provider.aclose()

anyio.run(main)
print(",".join(sorted({sdks!r} & set(sys.modules))))
"""


@pytest.mark.parametrize("key", ["", "sk-something"])
def test_no_sdk_is_imported_before_the_first_request(key):
    program = LOAD.format(key=key, sdks=SDKS)

    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.strip() == ""


def test_settings_do_not_show_keys():
    printed = repr(VendorSettings(anthropic_api_key="sk-ant-secret", cerebras_api_key="csk-secret"))

    assert "secret" not in printed


def test_every_adapter_is_a_provider():
    for load in LOADERS.values():
        provider: Provider = load(VendorSettings())
        assert callable(provider.generate)
