# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker is told on its command line. No secrets: arguments are visible to everybody on the machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import get_args

from llama_orch_utils.config.settings import CACHE_TYPES
from llama_orch_utils.targets.local import FlashAttention, GpuUse, RopeScaling, Split, WorkerSettings

LOAD_SETTINGS = tuple(each.name for each in fields(WorkerSettings) if each.name != "keep_alive")
"""The options that say how the model is loaded: a worker with others is another one."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """One worker. Either `socket` (0600) or `host` and `port` (loopback only; 0: any free port).

    `model` is the GGUF file, `name` the id that requests use. Seconds: `keep_alive` after the last request (negative:
    for ever), `ping` between server-sent comments, `drain` for running answers when told to stop. `queue` requests may
    wait beside the `slots` that run; `max_body` and `stream_buffer` are bytes of one request and characters of one
    answer that its reader has not taken. File descriptors handed over by the keeper: `lock_fd` (held for life),
    `lifeline_fd` (at its end the starter has gone), `key_fd` (the bearer key for TCP).

    `context` to `engine` are as in `WorkerSettings`; `engine` is only told again, for the record.
    """

    model: Path
    name: str
    socket: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    keep_alive: float = 300.0
    context: int | None = None
    slots: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    gpu: GpuUse = "auto"
    gpus: tuple[int, ...] = ()
    split: Split | None = None
    tensor_split: tuple[float, ...] = ()
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: FlashAttention = "auto"
    rope_scaling: RopeScaling | None = None
    rope_scale: float | None = None
    yarn_original_context: int | None = None
    loras: tuple[tuple[str, float], ...] = ()
    draft: str | None = None
    draft_tokens: int | None = None
    projector: str | None = None
    engine: str | None = None
    log: str | None = None
    demo: bool = False
    lock_fd: int | None = None
    lifeline_fd: int | None = None
    key_fd: int | None = None
    queue: int = 64
    max_body: int = 16 * 1024 * 1024
    stream_buffer: int = 256 * 1024
    ping: float = 10.0
    drain: float = 5.0


def parse(arguments: Sequence[str]) -> WorkerOptions:
    """The options in `arguments`; exits with status 2 and a message on stderr where they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m llama_orch.worker", description=__doc__)
    _add_address(parser)
    _add_model(parser)
    _add_placement(parser)
    _add_tuning(parser)
    _add_limits(parser)
    for name in ("--lock-fd", "--lifeline-fd", "--key-fd"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    found = parser.parse_args(arguments)
    if (found.socket is None) == (found.port is None):
        parser.error("give either --socket or --port")
    if not _is_loopback(found.host):
        parser.error(f"--host {found.host} is not a loopback address; orch serve is what listens to others")
    given = {name: value for name, value in vars(found).items() if value is not None}
    if "loras" in given:
        given["loras"] = tuple(given["loras"])
    return WorkerOptions(**given)


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", type=Path, help="path of the Unix socket")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--port", type=int, help="TCP port; 0: any free one")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--name", required=True, help="the model id that requests use")
    parser.add_argument("--demo", action="store_true", help="this is the embedded demo")
    for name, text in (
        ("--context", "tokens per sequence"),
        ("--slots", "sequences decoded at once"),
        ("--threads", "CPU threads"),
        ("--gpu-layers", "layers on the GPU; -1: all"),
    ):
        parser.add_argument(name, type=int, help=text)


def _add_placement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpu", choices=get_args(GpuUse), help="whether to compute on GPUs")
    parser.add_argument("--gpus", type=_numbers, help="which GPUs, by number: 0,2")
    parser.add_argument("--split", choices=get_args(Split), help="how several GPUs share the model")
    parser.add_argument("--tensor-split", type=_shares, help="the share of each GPU: 3,1")
    parser.add_argument("--engine", help="the managed build that this is, for the record")


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    for name in ("--cache-type-k", "--cache-type-v"):
        parser.add_argument(name, choices=CACHE_TYPES, help="ggml's type of the cached keys or values")
    parser.add_argument("--flash-attention", choices=get_args(FlashAttention), help="whether to fuse the attention")
    parser.add_argument("--rope-scaling", choices=get_args(RopeScaling), help="how the context is extended")
    parser.add_argument("--rope-scale", type=float, help="by how much")
    parser.add_argument("--yarn-original-context", type=int, help="tokens that the model was trained on")
    parser.add_argument("--lora", dest="loras", type=_adapter, action="append", help="an adapter, as SCALE:PATH")
    parser.add_argument("--draft", help="the GGUF of a draft model")
    parser.add_argument("--draft-tokens", type=int, help="tokens that it proposes at most")
    parser.add_argument("--projector", help="the GGUF of a multimodal projector")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _shares(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split(","))


def _adapter(text: str) -> tuple[str, float]:
    scale, _, path = text.partition(":")
    return path, float(scale)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-alive", type=float, help="seconds to stay after the last request; negative: for ever")
    parser.add_argument("--log", help="where stderr goes, for the record")
    parser.add_argument("--queue", type=int, help="requests that may wait")
    parser.add_argument("--max-body", type=int, help="bytes of a request body")
    parser.add_argument("--stream-buffer", type=int, help="characters that a slow reader may leave unread")
    parser.add_argument("--ping", type=float, help="seconds between server-sent comments while nothing comes")
    parser.add_argument("--drain", type=float, help="seconds for running answers when told to stop")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
