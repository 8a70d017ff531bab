# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate against what llama.cpp reserves: shapes of real models, cache types, contexts, slots, micro-batches.

llama.cpp is the real one, in a child process; it lays the models out without reading or allocating weights
(`no_alloc`), so that a model of 17 GB can be asked on a small machine. Keys and values, states, compute buffer and
logits are llama.cpp's own numbers; weights are those of the file.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import fit_models
import pytest

from llama_orch.models.estimate import Layout, Shape, read_shape
from llama_orch.models.estimate.cache import caches
from llama_orch.models.estimate.compute import compute, outputs

F16, Q8_0, Q4_0 = 1, 8, 2
CLOSE = 0.05
LOOSE = 0.2
"""For the compute buffer alone, which is a small part: ggml's allocator leaves holes that no formula foresees."""
DRAWN = 60


def layouts() -> list[Layout]:
    """Every combination of settings."""
    found: list[Layout] = []
    for context, slots, unified, rows, flash, types in itertools.product(
        (512, 4096, 8192, 32768), (1, 4, 20, 36), (False, True), (64, 512, 1024), (True, False),
        ((F16, F16), (Q8_0, Q8_0), (Q4_0, F16), (Q8_0, Q4_0)),
    ):  # fmt: skip
        if not flash and types[1] != F16:
            continue  # llama.cpp refuses it
        cells = context if unified else context * slots
        wide = min(rows, cells, 2048)
        found.append(
            Layout(context, slots, cells, slots, unified, wide, min(slots, wide), min(2048, cells), *types, flash)
        )
    return found


@pytest.mark.parametrize("name", fit_models.SHAPES)
def test_within_five_per_cent_of_what_llama_cpp_reserves(name: str, tmp_path: Path) -> None:
    path = fit_models.write(tmp_path, name)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    drawn = random.Random(seed).sample(layouts(), DRAWN)
    shape = read_shape(path)
    assert shape.weights == pytest.approx(path.stat().st_size, rel=0.001), "the file is weights, but for its header"
    for layout, reserved in zip(drawn, reserve(path, drawn), strict=True):
        check(shape, layout, reserved)


def check(shape: Shape, layout: Layout, reserved: dict[str, int]) -> None:
    cache, buffer, logits = sum(caches(shape, layout)), compute(shape, layout), outputs(shape, layout)
    said = f"{layout}: {reserved}, reckoned {cache}, {buffer}, {logits}"
    slack = 2**15  # llama.cpp says MiB with two digits
    assert cache == pytest.approx(reserved["cache"], rel=0.001, abs=slack), said
    assert logits == pytest.approx(reserved["output"], rel=0.01, abs=slack), said
    assert buffer == pytest.approx(reserved["compute"], rel=LOOSE, abs=2**20), said
    assert shape.weights + cache + buffer + logits == pytest.approx(
        shape.weights + sum(reserved.values()), rel=CLOSE
    ), said


def reserve(path: Path, wanted: list[Layout]) -> list[dict[str, int]]:
    lines = "".join(f"{json.dumps(asdict(each))}\n" for each in wanted)
    command = [sys.executable, str(Path(__file__).with_name("fit_reserve.py")), str(path)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
