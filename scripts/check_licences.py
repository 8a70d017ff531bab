# SPDX-License-Identifier: GPL-3.0-or-later
"""Every source file names its licence, and it is the right one for its room."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What holds no comment, or is not ours to mark.
UNMARKED = {".gguf", ".json", ".svg", ".png", ".ambr", ".typed", ".txt", ".jsonl", ".csv"}
UNMARKED_NAMES = {"LICENSE-GPL", "LICENSE-APACHE", ".gitignore", "py.typed"}
APACHE_FOLDERS = ("src/llama_orch_utils/", "applets/")
THEIRS = ("tests/schemas/suite/",)  # carries its own licence


def licence_of(path: str) -> str:
    return "Apache-2.0" if path.startswith(APACHE_FOLDERS) else "GPL-3.0-or-later"


def is_ours(path: str) -> bool:
    kind, name = Path(path).suffix, Path(path).name
    return not path.startswith(THEIRS) and kind not in UNMARKED and name not in UNMARKED_NAMES


def is_marked(path: str) -> bool:
    head = (ROOT / path).read_text(encoding="utf-8", errors="replace")[:400]
    return f"SPDX-License-Identifier: {licence_of(path)}" in head


def main() -> int:
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    wanted = [name for name in files if is_ours(name) and (ROOT / name).is_file()]
    missing = [name for name in wanted if not is_marked(name)]
    for name in missing:
        print(f"{name}: no line 'SPDX-License-Identifier: {licence_of(name)}'")
    print(f"{len(wanted)} files, {len(missing)} without the right licence line")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
