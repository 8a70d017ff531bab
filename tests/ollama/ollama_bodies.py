# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of Ollama's requests, as clients send them."""

from __future__ import annotations

from typing import Any

HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
OPTIONS: dict[str, Any] = {
    "temperature": 0.5,
    "top_k": 3,
    "top_p": 0.25,
    "min_p": 0.125,
    "typical_p": 0.75,
    "repeat_penalty": 1.5,
    "repeat_last_n": -1,
    "frequency_penalty": -2,
    "presence_penalty": 2,
    "seed": 7,
    "num_predict": 5,
    "num_ctx": 2048,
    "stop": ["a", "b"],
    "num_thread": 4,
    "num_gpu": 0,
    "use_mmap": True,
    "mirostat": 0,
    "tfs_z": 1.0,
}
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CHAT: dict[str, Any] = {
    "model": "tiny:latest",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Weather in Rome and Oslo?", "images": []},
        {
            "role": "assistant",
            "content": "",
            "thinking": "Two calls.",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Rome"}}},
                {"type": "function", "id": "x1", "function": {"index": 1, "name": "weather", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "sunny", "tool_name": "weather"},
        {"role": "tool", "content": "snow", "tool_call_id": "x1"},
        {"role": "user", "content": "In short?"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY, "strict": True}},
        {"function": {"name": "now", "parameters": None}},
    ],
    "stream": False,
    "format": {"type": "object"},
    "think": "high",
    "keep_alive": "5m",
    "logprobs": True,
    "top_logprobs": 2,
    "truncate": True,
    "options": OPTIONS,
}
# What Open WebUI sends with a chat's parameters set.
OPEN_WEBUI: dict[str, Any] = {
    "model": "tiny:latest",
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well, "}],
    "options": {
        "temperature": 0.8,
        "num_ctx": 2048,
        "num_keep": 24,
        "num_batch": 512,
        "mirostat_tau": 5.0,
        "stop": "x",
    },
    "stream": True,
    "keep_alive": -1,
    "think": False,
    "format": "json",
}
GENERATE: dict[str, Any] = {
    "model": "m",
    "prompt": "Hello",
    "system": "Be kind.",
    "template": "",
    "suffix": "",
    "context": [],
    "images": [],
    "raw": False,
    "stream": True,
    "format": "",
    "think": True,
    "keep_alive": "1h30m",
    "options": OPTIONS,
}
INFILL: dict[str, Any] = {"model": "m", "prompt": "def f(", "suffix": "return x", "stream": False, "system": ""}
RAW: dict[str, Any] = {"model": "m", "prompt": "Hello", "raw": True, "logprobs": False, "options": {"num_predict": -1}}
