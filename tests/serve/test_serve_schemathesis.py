# SPDX-License-Identifier: GPL-3.0-or-later
"""`schemathesis` over the server's own document: no 5xx, and no answer that the document does not allow.

The long run, by hand:

    FUZZ_PHASES=coverage,fuzzing FUZZ_EXAMPLES=300 FUZZ_SECONDS=3600 \\
        pytest tests/serve/test_serve_schemathesis.py -n 0 --timeout 4000

What a JSON Schema cannot say (a prompt that fits, unique tool names, a grammar that can be compiled) is refused by 400;
so schemathesis' check that whatever fits the schema is also accepted stays off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from seeds import fresh_seed
from serve_process import Served, serving

PHASES = os.environ.get("FUZZ_PHASES", "fuzzing")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "5")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "150"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth"
)


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with this server's model for every model: any other name is a 404, which tells little."""
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            for each in schema.get("anyOf", [schema]):
                if "model" in each.get("properties", {}):
                    each["properties"]["model"] = {"enum": ["tiny"] if "model" in each["required"] else ["tiny", None]}
    return document


def schemathesis(served: Served, document: Path, seed: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", served.url]
    command += ["-H", f"Authorization: Bearer {served.key}", "--phases", PHASES, "--checks", CHECKS]
    command += ["-n", EXAMPLES, "--seed", str(seed), "--no-shrink", "--suppress-health-check", "all"]
    command += ["--request-timeout", "60", "--continue-on-failure", *arguments]
    return subprocess.run(
        command, cwd=document.parent, capture_output=True, text=True, check=False, timeout=SECONDS + SECONDS // 2
    )


def test_the_server_does_what_its_document_says(orch_home: Path, tmp_path: Path, tiny_gguf: Path) -> None:
    seed = fresh_seed()
    print("seed", seed)
    with serving("-m", str(tiny_gguf), "--slots", "4") as served:
        status, body, headers = served.ask("GET", "/openapi.json")
        assert (status, headers["content-type"]) == (200, "application/json")
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(narrowed(json.loads(body))))
        done = schemathesis(served, document, seed, *(("--max-time", str(SECONDS)) if "coverage" in PHASES else ()))
        print(done.stdout[-20_000:])
        assert done.returncode == 0, f"seed {seed}\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
        assert served.chat("tiny")[0] == 200
        assert "Traceback" not in served.errors.read_text()
