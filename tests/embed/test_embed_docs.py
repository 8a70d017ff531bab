# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/how-to/serve-embeddings.md run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "serve-embeddings.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("example", "model", "says"),
    [
        (EXAMPLES[0], "embed", r"2 128 \d+\n"),
        (EXAMPLES[1], "embed", r"2\n"),
        (
            EXAMPLES[2],
            "rank",
            r"\[\{'index': \d, 'relevance_score': 0\.\d+, 'document': \{'text': 'The \w+ \w+\.'\}\}\]\n",
        ),
    ],
)
def test_the_page_holds(serve, example, model, says):
    worker = serve(model, "--tcp")
    environment = {
        "OPENAI_BASE_URL": f"{worker.url}/v1",
        "OPENAI_API_KEY": "none",
        "MODEL": "small",
        "RERANKER": "small",
    }
    done = subprocess.run(
        [sys.executable, "-c", example],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert re.fullmatch(says, done.stdout), done.stdout + done.stderr


def test_every_example_is_run():
    assert len(EXAMPLES) == 3
