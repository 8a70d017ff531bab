# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch serve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, flag, option
from llama_orch.cli.run.placing import Placing

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_PORT = 8080
_KEYS = {
    "url": "where it serves",
    "base_url": "the same for OpenAI clients (OPENAI_BASE_URL)",
    "api_key": "the key that was generated, or null: it is your own, or none is needed",
    "key_from": "generated (and kept), environment, or null where none is needed",
    "key_file": "where a generated key is kept, or null",
    "models": "the models that are loaded",
    "pid": "the process",
}


@dataclass(frozen=True, kw_only=True)
class Serve(Printing, Placing):
    """Serve models to any OpenAI, Anthropic or Ollama client.

    Loads the models of -m (else your default one), and any other installed one when it is asked for. What does not fit
    in memory takes turns: the one that was used longest ago goes.

    Listens on this machine only, with a key: ORCH_API_KEY, else one that is generated once and kept. The lines on
    standard output are for pasting into the shell of a client.
    """

    model: tuple[str, ...] = option(
        "-m", "--model", value="MODEL", many=True, complete="model", variable="ORCH_MODEL",
        help="a model to load at once: a name, or the path of a GGUF file",
    )  # fmt: skip
    pin: tuple[str, ...] = option(
        "--pin", value="MODEL", many=True, complete="model", help="as -m, and it is never swapped out"
    )
    host: str = option("--host", value="ADDRESS", default="127.0.0.1", help="the address to listen on")
    port: int = option(
        "--port", value="N", kind=int, default=_PORT, bounds=(0, 65535), help="the port; 0: any free one"
    )
    no_auth: bool = flag("--no-auth", help="ask for no key; only where nobody else can reach it")
    memory: str | None = option(
        "--memory", value="SIZE", help="memory for all models together, as 8G or 900M (what is free)"
    )
    slots: int | None = option(
        "--slots", value="N", kind=int, bounds=(1, 256), variable="ORCH_SLOTS",
        help="answers at once per model (4 to 32, as memory allows)",
    )  # fmt: skip
    context: int | None = option(
        "--context", value="TOKENS", kind=int, bounds=(1, None), variable="ORCH_CONTEXT",
        help="tokens of context per answer",
    )  # fmt: skip
    threads: int | None = option(
        "--threads", value="N", kind=int, bounds=(1, None), help="CPU threads per model", variable="ORCH_THREADS"
    )
    gpu_layers: int | None = option(
        "--gpu-layers", value="N", kind=int, bounds=(-1, None), help="layers on the GPU, -1 for all",
        variable="ORCH_GPU_LAYERS",
    )  # fmt: skip
    keep_alive: str | None = option(
        "--keep-alive", value="TIME", help="unload a model that nobody used for so long (90s, 5m; never)"
    )
    max_queue: int = option(
        "--max-queue",
        value="N",
        kind=int,
        default=64,
        bounds=(0, 100_000),
        help="requests that may wait per model",
    )
    grace: str | None = option("--grace", value="TIME", help="how long answers may go on when it is told to end (10s)")
    allow_origin: tuple[str, ...] = option(
        "--allow-origin", value="ORIGIN", many=True, help="a web page's origin that may call, as https://app.example"
    )
    allow_host: tuple[str, ...] = option(
        "--allow-host", value="NAME", many=True, help="a further name that clients may call this machine by"
    )
    cert: str | None = option("--cert", value="FILE", complete="file", help="TLS: the certificate (PEM)")
    key: str | None = option("--key", value="FILE", complete="file", help="TLS: the certificate's key file (PEM)")


def serve(options: Serve, out: Output) -> int | None:
    """Read the options, serve until told to end; the exit code."""
    from llama_orch.cli.serve import installed

    installed.check()
    from llama_orch.cli.serve.greeting import Greeting
    from llama_orch.cli.serve.progress import Progress
    from llama_orch.cli.serve.reading import read
    from llama_orch.tap.process import serve as run

    wanted = read(options, out)
    progress = Progress(out)
    greeting = Greeting(out, progress, wanted.key)
    try:
        return run(wanted, greeting, hear=progress)
    finally:
        progress.clear()


SERVE = Command(
    "serve",
    Serve,
    serve,
    (
        "orch serve",
        "orch serve -m qwen3:0.6b -m ./embedder.gguf --port 9000",
        "orch serve --pin qwen3:0.6b --memory 12G --keep-alive 10m",
        "ORCH_API_KEY=... orch serve --host 0.0.0.0 --cert tap.pem --key tap.key",
    ),
    _KEYS,
)
