# SPDX-License-Identifier: GPL-3.0-or-later
"""A small random-weight model whose chat template knows tools and, asked to think, opens a thought, as Qwen's do."""

from __future__ import annotations

import fcntl
from pathlib import Path

import make_gguf

TEMPLATE = (
    "{%- if tools %}<|im_start|>system\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}# Tools\n<tools>"
    "{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools>\n"
    'For each call return <tool_call>\n{"name": <name>, "arguments": <arguments>}\n</tool_call><|im_end|>\n'
    "{%- elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{%- for message in messages %}{% if message.role != 'system' %}"
    "<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}\n"
    "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
    "{% if message.role == 'tool' %}<tool_response>\n{{ message.content }}\n</tool_response>"
    "{% else %}{{ message.content }}{% endif %}"
    "{% for call in message.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined %}<think>\n{% if not enable_thinking %}\n</think>\n\n{% endif %}{% endif %}"
    "{% endif %}"
)


def tool_model(folder: Path) -> Path:
    """The model in `folder`, written once for all xdist workers: vocabulary 512, context 4096, 1.6 MB. Read-only."""
    path = folder / "tools.gguf"
    with (folder / "tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            kept, make_gguf.CHATML = make_gguf.CHATML, TEMPLATE
            try:
                partial = path.with_suffix(".partial")
                make_gguf.write_decoder(str(partial), "tiny", "f32", 0)
                partial.rename(path)
            finally:
                make_gguf.CHATML = kept
    return path
