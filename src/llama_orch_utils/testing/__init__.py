# SPDX-License-Identifier: Apache-2.0
"""A fake tap for the tests of whoever embeds us: scripted answers over a real socket, and a record of what was asked.

    from llama_orch_utils import Client
    from llama_orch_utils.testing import FakeTap

    with FakeTap() as tap, Client(tap.url, key="test", model="any") as orch:
        tap.answer("Blue light scatters.")
        assert orch.chat("Why is the sky blue?").text == "Blue light scatters."
        assert tap.asked[0].messages[0]["content"] == "Why is the sky blue?"

As a pytest fixture: `pytest_plugins = ["llama_orch_utils.testing.fixture"]`, then an argument `fake_tap`.
"""

from __future__ import annotations

from llama_orch_utils.testing.script import Asked, FakeCall, Script
from llama_orch_utils.testing.tap import FakeTap

__all__ = ["Asked", "FakeCall", "FakeTap", "Script"]
