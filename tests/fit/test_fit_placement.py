# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers go where: one GPU if the model fits on it, else as few as hold it, else as many layers as fit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import fit_models
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.models.estimate.placement import MARGIN, Placement, Room
from llama_orch.models.estimate.shape import Shape, read_shape
from llama_orch.models.estimate.wanted import wanted
from llama_orch_utils.targets.local import WorkerSettings

GIB = 2**30


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Shape:
    """8 billion parameters, 4.2 GiB, 32 layers."""
    return read_shape(fit_models.write(tmp_path_factory.mktemp("shapes"), "llama-8b"))


def place(shape: Shape, free: list[float], **settings: object) -> Placement:
    wish = WorkerSettings(context=8192, slots=1, **settings)  # type: ignore[arg-type]
    rooms = [Room(number, f"CUDA{number}", int(each * GIB)) for number, each in enumerate(free)]
    return wanted(shape, wish).placer().place(rooms, 64 * GIB, wish.gpu_layers)


def test_one_gpu_if_it_fits_the_roomiest(llama: Shape) -> None:
    found = place(llama, [12, 80, 24])
    assert [part.room.name for part in found.parts] == ["CUDA1"]
    assert found.whole
    assert found.fits
    assert (found.layers, found.total, found.split) == (33, 33, "none")
    part = found.parts[0]
    assert part.weights + part.cache == pytest.approx(llama.weights - 128256 * 4096 * 18 // 32 + GIB, rel=0.01)
    assert found.cpu.cache == 0
    assert found.cpu.mapped == pytest.approx(128256 * 4096 * 18 // 32, rel=0.01), "the token embeddings stay"


@pytest.mark.parametrize(("free", "used"), [([4, 4], 2), ([2.1] * 4, 4), ([1.4] * 8, 7), ([4, 1, 4, 1], 2)])
def test_as_few_as_hold_it(llama: Shape, free: list[float], used: int) -> None:
    found = place(llama, free)
    assert len(found.parts) == used
    assert found.whole
    assert found.fits
    assert found.split == "layer"
    assert sum(part.layers for part in found.parts) == found.total
    assert sum(found.tensor_split) == pytest.approx(1, abs=0.001)


def test_as_many_layers_as_fit_and_no_more(llama: Shape) -> None:
    found = place(llama, [3])
    assert 0 < found.layers < found.total
    assert found.fits
    more = place(llama, [3], gpu_layers=found.layers + 1)
    assert not more.fits, "one more would have fitted"
    assert place(llama, [0.3]).layers == 0
    assert place(llama, []).layers == 0


def test_what_the_user_says_counts(llama: Shape) -> None:
    assert place(llama, [80], gpu_layers=0).parts == ()
    assert place(llama, [80], gpu_layers=10).layers == 10
    assert len(place(llama, [4, 4], split="none").parts) == 1
    assert not place(llama, [4, 4], split="none", gpu_layers=-1).fits
    shared = place(llama, [80, 80], tensor_split=(3.0, 1.0))
    assert [part.layers for part in shared.parts] == [25, 8]  # llama.cpp: upper_bound over 33 layers
    assert shared.tensor_split == (0.75, 0.25)
    assert len(place(llama, [2] * 8, tensor_split=(1.0,) * 8).parts) == 8
    rows = place(llama, [4, 4], split="row")
    assert rows.split == "row"
    assert rows.parts[1].cache == 0
    smaller = place(llama, [80], cache_type_k="q8_0", cache_type_v="q8_0").parts[0].cache
    assert smaller == pytest.approx(place(llama, [80]).parts[0].cache * 34 / 64, rel=0.001)


@given(free=st.lists(st.integers(0, 96 * GIB), max_size=8), layers=st.none() | st.integers(-1, 40))
def test_no_placement_takes_more_than_there_is_or_loses_a_layer(
    llama: Shape, free: list[int], layers: int | None
) -> None:
    found = place(llama, [each / GIB for each in free], gpu_layers=layers)
    assert 0 <= found.layers <= found.total
    assert sum(part.layers for part in found.parts) == (found.layers if found.parts else 0)
    if layers is None:
        assert found.fits
    for part in found.parts:
        assert part.need >= MARGIN


def test_most_context_is_the_most(llama: Shape) -> None:
    load = wanted(llama, WorkerSettings(slots=1))
    room = [Room(0, "CUDA0", 12 * GIB)]
    most = load.most_context(room, 64 * GIB)
    assert most is not None
    assert load.with_context(most).placer().place(room, 64 * GIB).whole
    assert not load.with_context(most + 512).placer().place(room, 64 * GIB).whole
    assert load.most_context([Room(0, "CUDA0", GIB)], 64 * GIB) is None


def test_a_hostile_header_is_reckoned_or_refused_quickly(tmp_path: Path) -> None:
    """Layers, heads and lists that cannot be: numbers or an error, never a traceback of ours, never minutes."""
    import gguf

    path = tmp_path / "hostile.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    for key, value in (("block_count", 2**31), ("embedding_length", 2**31), ("attention.head_count", 0),
                       ("attention.key_length", 2**31), ("context_length", 2**31)):  # fmt: skip
        writer.add_uint32(f"llama.{key}", value)
    writer.add_array("llama.attention.head_count_kv", [1, 2, 3])
    writer.add_string("llama.feed_forward_length", "many")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    shape = read_shape(path)
    assert wanted(shape, WorkerSettings(slots=4)).memory(GIB).total > 0


def test_nobody_loads_llama_cpp_to_reckon() -> None:
    import sys

    code = "import sys; from llama_orch.models.estimate.wanted import read_wanted; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"llama_cpp", "numpy", "gguf", "httpx", "pydantic"} & set(loaded)


def test_gpus_on_which_nothing_is_free(llama: Shape) -> None:
    found = place(llama, [0, 0], gpu_layers=-1)
    assert not found.fits
    assert found.tensor_split == (0.5, 0.5)
