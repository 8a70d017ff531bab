# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that reaches the engine ends the process: every trap of docs/explanation/engine.md, in a child of its own.

A child runs real llama.cpp and prints what came of it; had the trap sprung, it would have died by a signal.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from seeds import fresh_seed

from llama_orch.engine.batch import Batch
from llama_orch.engine.context import MAX_SEQUENCES, Context, plan
from llama_orch.engine.engine import Engine
from llama_orch.engine.model import Model
from llama_orch.engine.records import EngineOptions
from llama_orch.engine.streams import open_streams
from llama_orch.engine.trial import verify
from llama_orch_utils.errors import EngineFailed

HEAD = """
import sys, threading
from pathlib import Path
from llama_orch.engine.engine import Engine
from llama_orch.engine.records import *
from llama_orch_utils.errors import OrchError

def load(path, **options):
    return Engine.load(Path(path), EngineOptions(**{"context": 256, "slots": 2, **options}), deliver)

ended, events = threading.Event(), []
def deliver(new):
    events.extend(event for _, event in new)
    if any(isinstance(event, (Finished, Failed)) for event in events):
        ended.set()

def answer(engine, tokens=(1, 2, 3), **options):
    ended.clear(); events.clear()
    engine.submit(Request(list(tokens), Sampling(**{"temperature": 0, **options}), max_tokens=8))
    assert ended.wait(60)
    return events[-1]
"""


def in_child(code: str, *arguments: object) -> str:
    """What the child printed. A death by a signal fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code, *map(str, arguments)],
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


LOAD = """
for path in sys.argv[1:]:
    try:
        with load(path) as engine:
            print("loaded", type(answer(engine)).__name__)
    except OrchError as error:
        print(type(error).__name__, "|", error, "|", error.hint)
"""


def damaged(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_files_that_are_no_model_are_refused_in_words(tiny_gguf: Path, tmp_path: Path):
    whole = tiny_gguf.read_bytes()
    cases = {
        tmp_path / "missing.gguf": "does not exist",
        tmp_path: "is a folder",
        damaged(tmp_path / "empty.gguf", b""): "is empty",
        damaged(tmp_path / "garbage.gguf", random.Random(1).randbytes(5000)): "is not a GGUF file",
        damaged(tmp_path / "text.gguf", b"hello, I am no model"): "is not a GGUF file",
        damaged(tmp_path / "start.gguf", whole[:10]): "is truncated",
        damaged(tmp_path / "keys.gguf", whole[:3000]): "cannot be loaded",
        damaged(tmp_path / "weights.gguf", whole[:-50_000]): "data is not within the file bounds",
        damaged(tmp_path / "version.gguf", whole[:4] + b"\x63" + whole[5:]): "GGUF version 99",
        damaged(tmp_path / "counts.gguf", whole[:8] + b"\xff" * 16 + whole[24:]): "damaged GGUF header",
        damaged(tmp_path / "architecture.gguf", whole.replace(b"llama", b"lamma")): "unknown model architecture",
        damaged(tmp_path / "none.gguf", whole[:8] + bytes(16)): "damaged GGUF header",
        Path("/dev/null"): "is no regular file",
        tmp_path / ("x" * 300): "cannot be read",
    }
    lines = in_child(LOAD, *cases).splitlines()
    for line, (path, words) in zip(lines, cases.items(), strict=True):
        assert line.startswith("EngineFailed |"), f"{path}: {line}"
        assert words in line, f"{path}: {line}"
        assert "None" not in line.split("|")[-1], f"{path}: no hint"


def test_a_file_without_permission_is_refused_in_words(tiny_gguf: Path, tmp_path: Path):
    path = damaged(tmp_path / "secret.gguf", tiny_gguf.read_bytes())
    path.chmod(0)
    drop = "import os\nif os.getuid() == 0: os.seteuid(65534)\n"
    tmp_path.chmod(0o711)
    for parent in path.parents[:3]:
        if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o711)
    line = in_child(drop + LOAD, path)
    assert line.startswith("EngineFailed | No permission"), line
    assert f"chmod u+r {path}" in line


def test_flipped_headers_never_end_the_process(tiny_gguf: Path, tmp_path: Path):
    whole, seed = tiny_gguf.read_bytes(), fresh_seed()
    print("seed", seed)
    chance, files = random.Random(seed), []
    for index in range(20):
        data = bytearray(whole)
        data[chance.randrange(2000)] ^= 1 << chance.randrange(8)
        files.append(damaged(tmp_path / f"{index}.gguf", bytes(data)))
    lines = in_child(LOAD, *files).splitlines()
    assert len(lines) == 20
    assert all(line.startswith(("loaded", "EngineFailed |")) for line in lines), lines


def test_an_assertion_of_the_loader_comes_back_in_words(tiny_gguf: Path, tmp_path: Path):
    """Two equal tokens in the vocabulary: GGML_ASSERT, which ends the process that meets it."""
    whole = tiny_gguf.read_bytes()
    entry = (1).to_bytes(8, "little")
    twice = damaged(tmp_path / "twice.gguf", whole.replace(entry + b"a" + entry + b"b", entry + b"a" + entry + b"a", 1))
    assert twice.read_bytes() != whole
    line = in_child(LOAD, twice)
    assert "llama.cpp gives up on it: GGML_ASSERT" in line


def test_a_trial_is_made_once_per_file(tiny_gguf: Path, tmp_path: Path):
    path = damaged(tmp_path / "model.gguf", tiny_gguf.read_bytes())
    verify(path, tmp_path / "cache")
    (note,) = (tmp_path / "cache" / "engine-trials").iterdir()
    damaged(path, tiny_gguf.read_bytes()[:3000])
    with pytest.raises(EngineFailed):
        verify(path, tmp_path / "cache")
    assert [*note.parent.iterdir()] == [note]


def test_weights_that_are_no_numbers_are_refused(tiny_gguf: Path, tmp_path: Path):
    data = bytearray(tiny_gguf.read_bytes())
    data[-4:] = np.float32(math.nan).tobytes()
    line = in_child(LOAD, damaged(tmp_path / "nan.gguf", bytes(data)))
    assert line.startswith("EngineFailed |")
    assert "invalid data" in line


def test_a_model_that_only_embeds_is_refused_in_words(tmp_path: Path):
    import make_gguf

    path = tmp_path / "embed.gguf"
    make_gguf.write_embedder(str(path), 0)
    assert "cannot generate" in in_child(LOAD, path)


BEYOND: list[tuple[dict[str, object], str]] = [
    ({"context": 2_000_000_000}, "GiB of memory"),
    ({"context": 2**40}, "between 1 and"),
    ({"context": 0}, "between 1 and"),
    ({"context": -1}, "between 1 and"),
    ({"context": 500_000_000, "unified": True}, "GiB of memory"),
    ({"context": 100_000_000, "slots": 256, "unified": False}, "GiB of memory"),
    ({"slots": MAX_SEQUENCES + 1}, "slots is 257"),
    ({"slots": 0}, "slots is 0"),
    ({"batch": 0}, "batch is 0"),
    ({"batch": 2**31}, "batch is"),
    ({"micro_batch": 4096}, "micro_batch is 4096"),
    ({"prefill_budget": 0}, "prefill_budget is 0"),
    ({"threads": 0}, "threads is 0"),
    ({"threads": 100_000}, "threads is 100000"),
]


def test_options_beyond_the_machine_are_refused_with_numbers(tiny_gguf: Path):
    code = f"""
for options in {[options for options, _ in BEYOND]!r}:
    try:
        load(sys.argv[1], **options)
    except OrchError as error:
        print(type(error).__name__, "|", error, "|", error.hint)
"""
    for line, (options, words) in zip(in_child(code, tiny_gguf).splitlines(), BEYOND, strict=True):
        assert line.startswith("EngineFailed |"), f"{options}: {line}"
        assert words in line, f"{options}: {line}"
        assert "orch config" in line, f"{options}: {line}"


def test_as_many_slots_as_llama_cpp_has_sequences(tiny_gguf: Path):
    for unified in (True, False):
        code = f"with load(sys.argv[1], slots=256, unified={unified}) as engine: print(type(answer(engine)).__name__)"
        assert in_child(code, tiny_gguf) == "Finished\n"


GRAMMARS = (
    "root ::= (",
    "root ::= missing",
    'other ::= "x"',
    'root ::= root "a"',
    "",
    "\0",
    "root ::= [^",
    "(" * 20_000,
    "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000,
    'root ::= "a"{1000000000}',
)


def test_no_grammar_ends_the_process(tiny_gguf: Path):
    code = f"""
with load(sys.argv[1]) as engine:
    for grammar in {GRAMMARS!r}:
        try:
            print("answered", type(answer(engine, grammar=grammar)).__name__)
        except OrchError as error:
            print(type(error).__name__)
    print(type(answer(engine)).__name__)
"""
    *lines, last = in_child(code, tiny_gguf).splitlines()
    assert len(lines) == len(GRAMMARS)
    assert all(line == "BadRequest" or line.startswith("answered") for line in lines), lines
    assert last == "Finished"


def test_what_a_grammar_forbids_is_never_accepted(tiny_gguf: Path):
    """The most likely token is biased towards what the grammar forbids; accepting it would end the process."""
    code = """
with load(sys.argv[1]) as engine:
    (forbidden,) = engine.tokenize("z")
    end = answer(engine, grammar='root ::= "ab" [0-9]+', logit_bias={forbidden: 1000.0})
    print(type(end).__name__, "".join(event.text for event in events if isinstance(event, Delta)))
"""
    kind, text = in_child(code, tiny_gguf).split()
    assert kind == "Finished"
    assert text.startswith("ab"[: len(text)])


def test_a_batch_keeps_its_limits(tiny_gguf: Path):
    code = """
import numpy as np
from llama_orch.engine.batch import Batch
from llama_orch.engine.context import Context, plan
from llama_orch.engine.model import Model
options = EngineOptions(context=256, slots=2, unified=False, batch=64, micro_batch=64)
model = Model.load(Path(sys.argv[1]), options)
context = Context(model, plan(model.card, options))
batch = Batch(context)
def refused(act):
    try:
        print(act())
    except OrchError as error:
        print("refused", error)
refused(batch.decode)                                                             # empty
refused(lambda: batch.add_prefill(np.zeros(65, np.int32), 0, 0, sampled=True))    # larger than n_batch
refused(lambda: batch.add_decodes([1, 1, 1], [0, 0, 0], [0, 1, 1]))               # more outputs than sequences
refused(lambda: batch.add_prefill(np.zeros(0, np.int32), 0, 0, sampled=True))
batch.add_prefill(np.zeros(3, np.int32), 0, 2, sampled=True); refused(batch.decode)    # no such sequence
batch.clear(); batch.add_prefill(np.zeros(3, np.int32), 0, -1, sampled=True); refused(batch.decode)
def prefill(tokens, position, sampled=True):
    batch.clear()
    batch.add_prefill(np.asarray(tokens, np.int32), position, 0, sampled=sampled)
    return batch.decode()
print(prefill([512] * 3, 0))                      # no such token
print(prefill([1] * 3, -5))                       # no such position
print(prefill([1] * 3, 0), batch.logits().shape)
print(prefill([1] * 3, 7))                        # a gap
print(prefill([1] * 2, 3, sampled=False), len(batch.logits()[: batch.outputs]))
"""
    lines = in_child(code, tiny_gguf).splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["refused"] * 6
    assert lines[6:] == ["-1", "-1", "0 (1, 512)", "-1", "0 0"]


def test_sequence_ids_out_of_range_never_reach_the_memory(tiny_gguf: Path):
    code = """
from llama_orch.engine.context import Context, plan
from llama_orch.engine.model import Model
from llama_orch.engine.streams import open_streams
for unified in (True, False):
    options = EngineOptions(context=256, slots=2, unified=unified)
    model = Model.load(Path(sys.argv[1]), options)
    context = Context(model, plan(model.card, options))
    streams, beyond = open_streams(context), context.dimensions.sequences
    for act in (
        lambda: streams.copy_prefix(0, beyond, 5), lambda: streams.copy_prefix(-1, 0, 5),
        lambda: streams.copy_prefix(0, 1, 100_000), lambda: streams.truncate(beyond, 0),
        lambda: streams.truncate(0, -1), lambda: streams.drop(999), lambda: streams.length(-7),
    ):
        try:
            act()
            print("let through")
        except OrchError:
            print("refused")
"""
    assert in_child(code, tiny_gguf).split("\n")[:-1] == ["refused"] * 14


def test_a_partial_copy_between_streams_is_exact(tiny_gguf: Path):
    """llama.cpp aborts on a partial seq_cp with separate streams; ours goes through the host."""
    options = EngineOptions(context=256, slots=2, unified=False)
    model = Model.load(tiny_gguf, options)
    context = Context(model, plan(model.card, options))
    batch, streams = Batch(context), open_streams(context)
    tokens = np.arange(1, 101, dtype=np.int32)
    batch.add_prefill(tokens, 0, 0, sampled=True)
    assert batch.decode() == 0
    streams.copy_prefix(0, 1, 60)
    assert (streams.length(0), streams.length(1)) == (100, 60)
    rows = []
    for sequence in (0, 1):
        streams.truncate(sequence, 60)
        batch.clear()
        batch.add_prefill(tokens[60:], 60, sequence, sampled=True)
        assert batch.decode() == 0
        rows.append(batch.logits()[0].copy())
    assert np.array_equal(*rows)
    context.close()
    model.close()


def test_engines_come_and_go_in_one_process(tiny_gguf: Path):
    for _ in range(5):
        with pytest.raises(EngineFailed):
            Engine.load(tiny_gguf, EngineOptions(slots=0), lambda _: None)
        Engine.load(tiny_gguf, EngineOptions(context=256), lambda _: None).close()
