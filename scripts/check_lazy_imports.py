# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing heavy at import: what each entry to the house may not have loaded, tried in a fresh interpreter."""

import subprocess
import sys

# Modules that cost time, threads, a TLS context or the network.
HEAVY = {"httpx", "pydantic", "keyring", "platformdirs", "ssl", "asyncio", "typer", "rich", "numpy", "llama_cpp",
         "llguidance", "jinja2", "uvicorn", "importlib.metadata", "sqlite3", "multiprocessing"}  # fmt: skip

# Module -> heavy modules that it may load all the same, because it is only imported where they are needed.
ENTRIES: dict[str, set[str]] = {
    "llama_orch": set(),
    "llama_orch_utils": set(),
    "llama_orch_utils.errors": set(),
    "llama_orch_utils.types": set(),
    "llama_orch_utils.config": set(),
    "llama_orch_utils.secrets": set(),
    "llama_orch_utils.targets": set(),
    "llama_orch_utils.applets": set(),
    "llama_orch_utils.sse": set(),
    "llama_orch.models": set(),
    "llama_orch.wire": set(),
    "llama_orch.pool": set(),
    "llama_orch.pool.local": set(),
    "llama_orch.engine": set(),
    "llama_orch.cli.main": set(),
}
PROBE = "import sys; before=set(sys.modules); import {module}; print(*(set(sys.modules)-before))"


def loaded_by(module: str) -> set[str]:
    command = [sys.executable, "-c", PROBE.format(module=module)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def main() -> int:
    failures = 0
    for module, allowed in ENTRIES.items():
        heavy = sorted((HEAVY - allowed) & loaded_by(module))
        if heavy:
            failures += 1
            print(f"import {module} loads {', '.join(heavy)}")
    print(f"{len(ENTRIES)} entries, {failures} load what they may not")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
