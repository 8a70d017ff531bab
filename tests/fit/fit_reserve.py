# SPDX-License-Identifier: GPL-3.0-or-later
"""What llama.cpp reserves for a model and settings, without allocating it. Run by path, in a process of its own:
`fit_reserve.py FILE`, settings as lines of JSON on stdin, its answers as lines of JSON on stdout.
"""

from __future__ import annotations

import json
import re
import sys

from llama_orch.engine import library

_BUFFER = re.compile(r"(\S+) +(output|compute|RS) buffer size = +([\d.]+) MiB")
_CELLS = re.compile(r"llama_kv_cache: size = +([\d.]+) MiB")
_MIB = 2**20


def main() -> None:
    lib, log = library.load(), library.log()
    params = lib.llama_model_default_params()
    params.no_alloc, params.load_mode = True, lib.LLAMA_LOAD_MODE_NONE
    model = lib.llama_model_load_from_file(sys.argv[1].encode(), params)
    assert model, log.reason()
    for line in sys.stdin:
        wish = json.loads(line)
        wanted = lib.llama_context_default_params()
        wanted.n_ctx, wanted.n_seq_max, wanted.kv_unified = wish["cells"], wish["sequences"], wish["unified"]
        wanted.n_outputs_max = wish["outputs"]
        wanted.n_batch, wanted.n_ubatch = 2048, wish["rows"]
        wanted.type_k, wanted.type_v = wish["type_k"], wish["type_v"]
        wanted.flash_attn_type = int(wish["flash"])
        wanted.n_threads = wanted.n_threads_batch = 1
        log.sizes.clear()
        context = lib.llama_init_from_model(model, wanted)
        assert context, log.reason()
        print(json.dumps(read(log.sizes)), flush=True)
        lib.llama_free(context)


def read(lines: list[str]) -> dict[str, int]:
    found = {"output": 0, "compute": 0, "cache": 0}
    for line in lines:
        if buffer := _BUFFER.search(line):
            kind = "cache" if buffer[2] == "RS" else buffer[2]
            found[kind] += round(float(buffer[3]) * _MIB)
        elif cells := _CELLS.search(line):
            found["cache"] += round(float(cells[1]) * _MIB)
    return found


main()
