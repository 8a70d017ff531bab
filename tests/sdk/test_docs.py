# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the documentation run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llama_orch_utils import Client
from llama_orch_utils.testing import FakeTap

ROOT = Path(__file__).parent.parent.parent
PAGES = ["README.md", "docs/how-to/sdk.md", "docs/how-to/structured-output.md", "docs/how-to/tools.md",
         "docs/how-to/embeddings.md", "docs/how-to/attachments.md", "docs/tutorials/sdk-first-steps.md",
         "src/llama_orch_utils/README.md"]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, tap: FakeTap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ORCH_TARGET", tap.url)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    names: dict[str, object] = {"__name__": "page"}
    try:
        for block in blocks:
            exec(compile(block, page, "exec", dont_inherit=True), names)
    finally:
        for client in [value for value in names.values() if isinstance(value, Client)]:
            client.close()
    assert tap.asked
