# SPDX-License-Identifier: GPL-3.0-or-later
"""`schemathesis` over the server's own document: no 5xx, and no answer that the document does not allow.

The long run, by hand:

    FUZZ_PHASES=coverage,fuzzing FUZZ_EXAMPLES=300 FUZZ_SECONDS=3600 \\
        pytest tests/serve/test_serve_schemathesis.py -n 0

What a JSON Schema cannot say (a prompt that fits, unique tool names, a grammar that can be compiled) is refused by 400;
so schemathesis' check that whatever fits the schema is also accepted stays off.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from seeds import fresh_seed
from serve_process import Served, serving

PHASES = os.environ.get("FUZZ_PHASES", "fuzzing")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "5")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "600"))
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""
"""With 413: one item more than a list may have can be more than a body may have."""
_PASSED = re.compile(r"^=+ (No issues found|\d+ warnings?) in [\d.]+s =+$", re.MULTILINE)
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
    document.with_name("schemathesis.toml").write_text(CONFIG)
    said = document.with_suffix(".said")
    with said.open("wb") as output:
        process = subprocess.Popen(command, cwd=document.parent, stdout=output, stderr=subprocess.STDOUT)
        try:
            code = process.wait(SECONDS + SECONDS // 2)
        except subprocess.TimeoutExpired:
            # After a long run a thread of its own may hold up its end; its report is out by then.
            process.kill()
            process.wait()
            code = 0 if _PASSED.search(said.read_text(errors="replace")) else -1
    return subprocess.CompletedProcess(command, code, said.read_text(errors="replace"), "")


@pytest.mark.timeout(2 * SECONDS)
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
        logs = "".join(path.read_text(errors="replace")[-4000:] for path in orch_home.rglob("worker-*.log"))
        assert done.returncode == 0, f"seed {seed}\n{done.stdout[-20_000:]}\n{served.errors.read_text()[-4000:]}{logs}"
        assert served.chat("tiny")[0] == 200
        assert "Traceback" not in served.errors.read_text()
