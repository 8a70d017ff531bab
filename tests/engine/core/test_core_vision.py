# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in the engine: what libmtmd's own helper computes, beside text, kept for the next turn, and cancelled."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from core_bench import Bench, Running
from vision_models import ROWS, bmp, png, shared_projector, write_projector

from llama_orch.engine import library
from llama_orch.engine.context import Context, plan
from llama_orch.engine.model import Model
from llama_orch.engine.records import Delta, EngineOptions, Finished, Request, Sampling
from llama_orch.engine.vision import Eyes, Picture, Span, open_eyes
from llama_orch.engine.vision.projector import Projector
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed, UnsupportedByTarget

Start = Callable[..., Running]
LOGPROBS = Sampling(temperature=0, logprobs=20)
RED, BLUE = png(), bmp()
SORTS = ["mlp", "gemma3"]


@pytest.fixture(params=SORTS)
def projector(request: pytest.FixtureRequest, shared_folder: Path) -> Path:
    return shared_projector(shared_folder, request.param)


@pytest.fixture
def causal(shared_folder: Path) -> Path:
    return shared_projector(shared_folder, "mlp")


@pytest.fixture
def sees(start: Start, projector: Path) -> Running:
    return start(projector=str(projector))


def _prompt(running: Running, *parts: str | bytes) -> tuple[list[int], tuple[Span, ...]]:
    assert running.engine.eyes is not None
    return _read(running.engine.eyes, running.engine.vocabulary, parts)


def _read(eyes: Eyes, vocabulary: object, parts: Sequence[str | bytes]) -> tuple[list[int], tuple[Span, ...]]:
    pictures = [
        Picture(part, f"/p/{place}", f"<{place}>") for place, part in enumerate(parts) if isinstance(part, bytes)
    ]
    text = "".join(part if isinstance(part, str) else f"<{place}>" for place, part in enumerate(parts))
    return eyes.read(vocabulary, text, pictures)  # type: ignore[arg-type]


def _first(running: Running, *parts: str | bytes, cache: bool = False) -> dict[int, float]:
    """The log-probabilities of the first token."""
    tokens, spans = _prompt(running, *parts)
    identity = running.ask(tokens, pictures=spans, sampling=LOGPROBS, max_tokens=1, cache=cache)
    assert isinstance(running.received.wait(identity), Finished)
    (delta,) = [event for event in running.received.events[identity] if isinstance(event, Delta)]
    return {token.token: token.logprob for token in (delta.logprobs[0], *delta.logprobs[0].top)}


def _apart(one: dict[int, float], other: dict[int, float]) -> float:
    common = one.keys() & other.keys()
    return max((abs(one[token] - other[token]) for token in common), default=99.0)


def _reference(path: Path, projector: Path, before: str, image: bytes, after: str) -> dict[int, float]:
    """The same by libmtmd's own helper, in a context of its own."""
    options = EngineOptions(context=512, slots=1, unified=True)
    model = Model.load(path, options)
    context = Context(model, plan(model.card, options), options)
    mtmd = library.load_vision()
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.warmup = False, False
    pointer = mtmd.mtmd_init_from_file(str(projector).encode(), model.pointer, params)
    buffer = (ctypes.c_uint8 * len(image)).from_buffer_copy(image)
    bitmap = mtmd.mtmd_helper_bitmap_init_from_buf(pointer, buffer, len(image), False)
    chunks = mtmd.mtmd_input_chunks_init()
    text = f"{before}<__media__>{after}".encode()
    told = mtmd.mtmd_input_text(text=text, text_len=len(text), add_special=True, parse_special=True)
    bitmaps = (ctypes.c_void_p * 1)(bitmap)
    assert mtmd.mtmd_tokenize(pointer, chunks, ctypes.byref(told), bitmaps, 1) == 0
    end = ctypes.c_int32()
    done = mtmd.mtmd_helper_eval_chunks(pointer, context.pointer, chunks, 0, 0, 512, True, ctypes.byref(end))
    assert done == 0
    found = context.lib.llama_get_logits_ith(context.pointer, -1)
    logits = np.ctypeslib.as_array(found, (model.card.vocabulary,)).astype(np.float64)
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_bitmap_free(bitmap)
    mtmd.mtmd_free(pointer)
    context.close()
    model.close()
    return dict(enumerate(logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()))


def test_an_image_gives_what_libmtmds_own_helper_gives(sees: Running, tiny_gguf: Path, projector: Path) -> None:
    wanted = _reference(tiny_gguf, projector, "What is this? ", RED, "\nIt is ")
    assert _apart(_first(sees, "What is this? ", RED, "\nIt is "), wanted) < 0.01


def test_the_same_image_the_same_answer_and_another_another(sees: Running) -> None:
    red = _first(sees, "Look: ", RED, " So?")
    assert _first(sees, "Look: ", RED, " So?") == red
    assert _apart(red, _first(sees, "Look: ", BLUE, " So?")) > 0.01
    assert _apart(red, _first(sees, "Look: ", RED, BLUE, " So?")) > 0.01
    assert _first(sees, RED)  # the image is the whole prompt, and its last row is sampled


def test_an_image_counts_as_its_rows(sees: Running, projector: Path) -> None:
    tokens, spans = _prompt(sees, "a ", RED, " b ", BLUE)
    sort = projector.stem.removeprefix("mmproj-")
    assert [span.count for span in spans] == [ROWS[sort]] * 2
    assert sum(token < 0 for token in tokens) == 2 * ROWS[sort]
    _, end = sees.answer(tokens, pictures=spans, max_tokens=2)
    assert end.prompt_tokens == len(tokens)


@pytest.mark.parametrize("unified", [True, False])
def test_the_next_turn_finds_its_image_in_the_cells(start: Start, projector: Path, unified: bool) -> None:
    running = start(projector=str(projector), unified=unified)
    before = "A long enough beginning, so that it is worth while to look for it in the cells: "
    tokens, spans = _prompt(running, before, RED, " What is it?")
    running.answer(tokens, pictures=spans, max_tokens=1)
    more, again = _prompt(running, before, RED, " What is it? And what colour has it?")
    _, end = running.answer(more, pictures=again, max_tokens=1)
    assert end.cached_tokens >= spans[-1].stop
    other, others = _prompt(running, before, BLUE, " What is it? And what colour has it?")
    _, end = running.answer(other, pictures=others, max_tokens=1)
    assert end.cached_tokens <= others[0].start
    fresh = _first(running, before, RED, " What is it? And what colour has it?")
    kept = _first(running, before, RED, " What is it? And what colour has it?", cache=True)
    assert _apart(fresh, kept) < 0.01


def test_a_cut_never_goes_through_an_image(sees: Running) -> None:
    before = "A long enough beginning, so that it is worth while to look for it in the cells: "
    tokens, spans = _prompt(sees, before, RED)
    sees.answer(tokens, pictures=spans, max_tokens=1)
    _, end = sees.answer(tokens[: spans[0].stop], pictures=spans, max_tokens=3)  # the same: all but its logits is there
    assert end.cached_tokens in (spans[0].start, len(tokens))
    whole = _first(sees, before, RED)
    assert _apart(_first(sees, before, RED, cache=True), whole) < 0.01


def test_too_long_with_the_image(start: Start, causal: Path) -> None:
    running = start(context=64, projector=str(causal))
    tokens, spans = _prompt(running, "x " * 20, RED, " y " * 20)
    with pytest.raises(ContextTooLong) as caught:
        running.ask(tokens, pictures=spans)
    assert (caught.value.limit, caught.value.asked) == (64, len(tokens))


def test_rows_that_are_no_images_are_refused(sees: Running) -> None:
    for tokens in ([5, -7, 9], [-1]):
        with pytest.raises(BadRequest, match="outside the vocabulary"):
            sees.ask(tokens)


def test_cancelled_at_any_moment(sees: Running) -> None:
    tokens, spans = _prompt(sees, "Look: ", RED, " and ", BLUE, " So?")
    for place in range(8):
        identity = sees.ask(tokens, pictures=spans, max_tokens=200, cache=False, salt=str(place))
        sees.engine.cancel(identity)
        assert isinstance(sees.received.wait(identity), Finished)
    text, end = sees.answer(sees.engine.tokenize("still here"), max_tokens=3)
    assert end.output_tokens == 3
    assert text
    shot = sees.engine.snapshot()
    assert (shot.active, shot.queued) == (0, 0)


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (b"no image at all", BadRequest, "no PNG, JPEG"),
        (RED[:60], BadRequest, "broken"),
        (png(width=2, height=400), BadRequest, "64 times"),
        (RED[:16] + b"\x00\x01\x00\x00" * 2 + RED[24:], BadRequest, "pixels"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(40), UnsupportedByTarget, "webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(40), BadRequest, "no PNG"),
    ],
)
def test_bad_images_by_name(sees: Running, image: bytes, error: type[BadRequest], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        _prompt(sees, "Look: ", image)
    assert caught.value.param == "/p/1"


def test_another_models_projector_is_an_error_and_text_goes_on(start: Start, tmp_path: Path) -> None:
    running = start(projector=str(write_projector(tmp_path / "mmproj.gguf", "mlp", width=96)))
    for _ in range(2):  # remembered: the second time at once
        with pytest.raises(EngineFailed, match="mismatch") as caught:
            _prompt(running, "Look: ", RED)
        assert caught.value.hint
    assert running.answer(running.engine.tokenize("hello there"), max_tokens=3)[1].output_tokens == 3


def test_an_image_too_wide_for_one_computation(start: Start, tmp_path: Path) -> None:
    path = write_projector(tmp_path / "mmproj.gguf", "gemma3")
    running = start(projector=str(path), batch=3, micro_batch=3)
    with pytest.raises(UnsupportedByTarget, match="4 rows must be computed together"):
        _prompt(running, "Look: ", RED)
    causal = start(projector=str(write_projector(tmp_path / "other.gguf", "mlp")), batch=3, micro_batch=3)
    assert _first(causal, "Look: ", RED, " So?")  # these go in slices


class _Seeing(Bench):
    """A scheduler by hand whose model sees."""

    def __init__(self, path: Path, projector: Path, **options: object) -> None:
        super().__init__(path, **options)  # type: ignore[arg-type]
        wanted = EngineOptions(projector=str(projector))
        eyes = open_eyes(self.model, wanted, threads=1, whole=512, cache_dir=None)
        assert eyes is not None
        self.eyes = eyes

    def request(self, *parts: str | bytes, **options: object) -> Request:
        tokens, spans = _read(self.eyes, self.vocabulary, parts)
        self.eyes.look(spans)
        return Request(tokens=tokens, pictures=spans, sampling=LOGPROBS, **options)  # type: ignore[arg-type]

    def close(self) -> None:
        self.eyes.close()
        super().close()


@pytest.fixture
def seeing(tiny_gguf: Path, projector: Path) -> Iterator[Callable[..., _Seeing]]:
    made: list[_Seeing] = []

    def make(**options: object) -> _Seeing:
        made.append(_Seeing(tiny_gguf, projector, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _said(bench: Bench, identity: int) -> list[float]:
    return [token.logprob for e in bench.events[identity] if isinstance(e, Delta) for token in e.logprobs]


@pytest.mark.parametrize("unified", [True, False])
def test_texts_and_images_side_by_side_answer_as_alone(seeing: Callable[..., _Seeing], unified: bool) -> None:
    bench = seeing(unified=unified)
    wishes = [
        bench.request("A text of its own, ", max_tokens=6, cache=False),
        bench.request("Look: ", RED, " So?", max_tokens=6, cache=False),
        bench.request("Another text, and a longer one. ", max_tokens=6, cache=False),
        bench.request("See ", BLUE, " and ", RED, " too", max_tokens=6, cache=False),
    ]
    alone: list[int] = []
    for wish in wishes:
        alone.append(bench.add(wish))
        bench.run()
    together = [bench.add(wish) for wish in wishes]
    bench.run()
    for one, other in zip(alone, together, strict=True):
        assert abs(_said(bench, one)[0] - _said(bench, other)[0]) < 0.01
        assert len(_said(bench, other)) == len(_said(bench, one)) or _said(bench, other)


def test_others_wait_for_one_image_batch_at_most(seeing: Callable[..., _Seeing]) -> None:
    bench = seeing(micro_batch=64)
    text = bench.add(bench.request("A text of its own, ", max_tokens=60, cache=False))
    while not _said(bench, text):
        bench.step()
    bench.add(bench.request(*(png(seed=seed) for seed in range(6)), max_tokens=1, cache=False))
    waited = 0
    while len(bench.scheduler.active) + len(bench.scheduler.queue) == 2:
        before = len(_said(bench, text))
        bench.step()
        waited = waited + 1 if len(_said(bench, text)) == before else 0
        assert waited <= 1, "a text stood still for two batches"


def test_lost_cells_are_computed_again(seeing: Callable[..., _Seeing]) -> None:
    bench = seeing(cells=256)
    wishes = [bench.request(f"{place}: ", RED, " So?", max_tokens=180, cache=False) for place in range(4)]
    alone: list[int] = []
    for wish in wishes:
        alone.append(bench.add(wish))
        bench.run()
    together = [bench.add(wish) for wish in wishes]
    bench.run()
    assert bench.scheduler.counters.preemptions > 0
    for one, other in zip(alone, together, strict=True):
        assert isinstance(bench.events[other][-1], Finished)
        assert abs(_said(bench, one)[0] - _said(bench, other)[0]) < 0.01


def test_only_its_own_account_finds_an_image(sees: Running) -> None:
    before = "A long enough beginning, so that it is worth while to look for it in the cells: "
    tokens, spans = _prompt(sees, before, RED, " What is it?")
    sees.answer(tokens, pictures=spans, max_tokens=1, salt="one")
    assert sees.answer(tokens, pictures=spans, max_tokens=1, salt="other")[1].cached_tokens == 0
    assert sees.answer(tokens, pictures=spans, max_tokens=1, salt="one")[1].cached_tokens == len(tokens)


def test_an_image_is_encoded_once(start: Start, causal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[bytes] = []
    encode = Projector.encode

    def counted(self: Projector, picture: Picture) -> object:
        encoded.append(picture.digest)
        return encode(self, picture)

    monkeypatch.setattr(Projector, "encode", counted)
    running = start(projector=str(causal))
    for turn in range(3):
        tokens, spans = _prompt(running, "Look: ", RED, f" for the {turn}th time")
        running.answer(tokens, pictures=spans, max_tokens=1)
    assert len(encoded) == 1


def test_closing_while_an_image_waits(start: Start, causal: Path) -> None:
    running = start(projector=str(causal))
    tokens, spans = _prompt(running, "Look: ", RED)
    running.engine.close()
    with pytest.raises(EngineFailed):
        running.ask(tokens, pictures=spans)


FUZZ = """
import random, sys
sys.path.insert(0, {support!r})
from pathlib import Path
from vision_models import bmp, gif, jpeg, png
from llama_orch.engine import library
from llama_orch.engine.model import Model
from llama_orch.engine.records import EngineOptions
from llama_orch.engine.vision import Picture, open_eyes
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest

library.no_core_file()
model = Model.load(Path({model!r}), EngineOptions())
eyes = open_eyes(model, EngineOptions(projector={projector!r}), threads=1, whole=512, cache_dir=None)
vocabulary = Vocabulary(model.vocabulary, model.card.vocabulary)
rng, read = random.Random({seed}), 0
whole = [png(), bmp(), gif(), jpeg(24, 16)]
for sample in whole:
    eyes.look(eyes.read(vocabulary, "a <0> b", [Picture(sample, "/0", "<0>")])[1])
for turn in range(200):
    data = bytearray(whole[turn % len(whole)])
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]
    try:
        eyes.look(eyes.read(vocabulary, "a <0> b", [Picture(bytes(data), "/0", "<0>")])[1])
        read += 1
    except BadRequest:
        continue
print("read", read)
"""


def test_mutated_images_never_end_the_process(tiny_gguf: Path, causal: Path) -> None:
    support = str(Path(__file__).parents[2] / "support")
    script = FUZZ.format(support=support, model=str(tiny_gguf), projector=str(causal), seed=20261121)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"seed 20261121: {done.stderr[-2000:]}"
    assert int(done.stdout.split()[-1]) > 20


BLIND = """
import sys
from pathlib import Path
from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Finished, Request
from llama_orch.engine.vision import Picture
from llama_orch_utils.errors import UnsupportedByTarget
import threading

done = threading.Event()
ended = []
def deliver(events):
    ended.extend(event for _, event in events if isinstance(event, Finished))
    if ended:
        done.set()

engine = Engine.load(Path({model!r}), EngineOptions(context=256, projector={projector!r}), deliver)
assert any("libmtmd" in words for words in engine.warnings), engine.warnings
assert not any("mtmd" in name for name in sys.modules)
try:
    engine.eyes.read(engine.vocabulary, "a <0>", [Picture(b"", "/0", "<0>")])
except UnsupportedByTarget as error:
    assert (error.capability, error.param) == ("vision", "/0") and "orch engine build" in error.hint, error
else:
    raise SystemExit("not refused")
engine.submit(Request(engine.tokenize("text goes on"), max_tokens=3))
assert done.wait(60) and ended[0].output_tokens >= 1
engine.close()
"""


def test_a_llama_cpp_without_libmtmd_says_so_and_text_goes_on(tiny_gguf: Path, causal: Path, tmp_path: Path) -> None:
    package = library.files()[0].parent.parent
    (tmp_path / "llama_cpp" / "lib").mkdir(parents=True)
    for path in (*package.glob("*.py"), *(package / "lib").iterdir()):
        if "mtmd.so" not in path.name and "mtmd.dylib" not in path.name:
            (tmp_path / "llama_cpp" / path.relative_to(package)).symlink_to(path)
    script = BLIND.format(model=str(tiny_gguf), projector=str(causal))
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
