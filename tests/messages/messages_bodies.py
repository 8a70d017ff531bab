# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of `POST /v1/messages`, as clients send them."""

from __future__ import annotations

from typing import Any

HELLO: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
        "$schema": "http://json-schema.org/draft-07/schema#",
    },
}
CACHED = {"type": "ephemeral", "ttl": "1h"}

# What Claude Code 2.1 sends: headers apart, every field and block that was seen in its requests in 2026.
CLAUDE_CODE: dict[str, Any] = {
    "model": "tiny",
    "max_tokens": 32000,
    "stream": True,
    "temperature": 1,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.280.0d9; cc_entrypoint=cli; cch=fa690;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": CACHED},
        {"type": "text", "text": "Be brief.", "cache_control": CACHED},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>\nToday is Monday.\n</system-reminder>"},
                {"type": "text", "text": "What is the weather in Rome?", "cache_control": CACHED},
            ],
        },
        {"role": "system", "content": "# Environment\nlinux"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "A tool knows.", "signature": "EqQBCg=="},
                {"type": "redacted_thinking", "data": "EmwKAh"},
                {"type": "text", "text": "I will look."},
                {
                    "type": "tool_use",
                    "id": "toolu_01",
                    "name": "get_weather",
                    "input": {"city": "Rome"},
                    "caller": {"type": "direct"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01",
                    "content": [{"type": "text", "text": "sunny"}],
                    "is_error": False,
                    "cache_control": CACHED,
                },
                {"type": "text", "text": "And in short?"},
            ],
        },
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "<total_tokens>9000 tokens left</total_tokens>", "cache_control": CACHED}
            ],
            "output_config": {"effort": "low"},
            "clear_at": "next_user_message",
        },
    ],
    "tools": [
        WEATHER | {"cache_control": CACHED, "eager_input_streaming": True},
        {"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}, "type": "custom"},
    ],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive", "display": "summarized"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": '{"device_id": "d", "account_uuid": "", "session_id": "s"}'},
    "diagnostics": {"previous_message_id": None},
    "speed": "standard",
}

EVERYTHING: dict[str, Any] = {
    "model": "m",
    "max_tokens": 2000,
    "stream": False,
    "system": "Be kind.",
    "messages": [
        {"role": "user", "content": "Find a tool."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "search", "input": {"query": "weather"}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "content": [
                        {"type": "tool_reference", "tool_name": "get_weather"},
                        {"type": "text", "text": "one"},
                    ],
                }
            ],
        },
        {"role": "assistant", "content": "It is "},
    ],
    "tools": [
        {
            "name": "search",
            "input_schema": {"type": "object"},
            "strict": True,
            "input_examples": [{"query": "a"}],
            "allowed_callers": ["direct", "code_execution_20260120"],
        },
        WEATHER | {"defer_loading": True},
        {"name": "hidden", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "stop_sequences": ["END", "\n\nHuman:"],
    "temperature": 0.5,
    "top_p": 0.25,
    "top_k": 3,
    "service_tier": "auto",
    "thinking": {"type": "enabled", "budget_tokens": 1500, "display": "omitted"},
    "output_config": {
        "effort": "max",
        "format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    },
    "context_management": {
        "edits": [{"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 2}}]
    },
    "mcp_servers": [],
    "cache_control": CACHED,
    "anthropic_version": "vertex-2023-10-16",
}
