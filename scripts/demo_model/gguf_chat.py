# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a GGUF through llama-cpp-python, greedily and on one thread: two are 10 times slower at this size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_cpp import Llama

Message = dict[str, str]


class GgufChat:
    """A GGUF model that answers conversations."""

    def __init__(self, path: Path) -> None:
        self.llama = Llama(str(path), n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)

    def render(self, messages: Sequence[Message]) -> str:
        """ChatML, as the template in the file renders it."""
        text = "".join(f"<|im_start|>{m['role']}\n{m['content'].strip()}<|im_end|>\n" for m in messages)
        return f"{text}<|im_start|>assistant\n"

    def tokens(self, text: str) -> list[int]:
        """Ids, control tokens recognised."""
        return self.llama.tokenize(text.encode(), add_bos=False, special=True)

    def answer(self, messages: Sequence[Message], limit: int = 120) -> str:
        """The greedy answer."""
        prompt = self.tokens(self.render(messages))[-(512 - limit) :]
        result = self.llama.create_completion(prompt, max_tokens=limit, temperature=0.0)
        return result["choices"][0]["text"].strip()

    def converse(self, questions: Sequence[str], system: str = "") -> list[str]:
        """Answers to questions that are asked one after the other."""
        messages = [{"role": "system", "content": system}] if system else []
        answers = []
        for question in questions:
            messages.append({"role": "user", "content": question})
            answers.append(self.answer(messages))
            messages.append({"role": "assistant", "content": answers[-1]})
        return answers
