# SPDX-License-Identifier: GPL-3.0-or-later
"""The prebuilt engine's vocabulary, by its server's /tokenize and /detokenize."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from llama_orch.engine.prebuilt.server import Server
from llama_orch_utils.errors import BadRequest

_GAPS = (("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"), ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"))


class PrebuiltVocabulary:
    """As `engine.vocabulary.Vocabulary`, as far as the worker asks. Bytes that are no UTF-8 come as U+FFFD."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.n_tokens = int(server.meta["n_vocab"])
        framed = self._tokens("a", frame=True, special=False)
        bare = self._tokens("a", frame=False, special=False)
        before = len(framed) - len(bare) if framed != bare else 0
        self.surroundings: tuple[list[int], list[int]] = (framed[:before], []) if framed[before:] == bare else ([], [])
        self.bos = self._one(str(server.props.get("bos_token") or ""))
        self.adds_bos = self.bos is not None and framed[:1] == [self.bos]

    def check(self, tokens: Iterable[int]) -> None:
        """Raises BadRequest for a token outside the vocabulary."""
        for token in tokens:
            if not 0 <= token < self.n_tokens:
                raise BadRequest(f"Token {token} is outside the vocabulary (0 to {self.n_tokens - 1}).")

    def tokenize(self, text: str, *, special: bool, add_bos: bool | None = None) -> list[int]:
        """The tokens of `text`; see `Vocabulary.tokenize`. Raises BadRequest for text that is not Unicode."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadRequest("The text is not valid Unicode: a lone surrogate.", param="/messages") from error
        found = self._tokens(text, frame=False, special=special)
        wanted = self.adds_bos if add_bos is None else add_bos
        if wanted and self.bos is not None and (add_bos or found[:1] != [self.bos]):
            found.insert(0, self.bos)
        return found

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `tokens`; `special`: control tokens by name instead of nothing."""
        self.check(tokens)
        kept = list(tokens) if special else [token for token in tokens if not self.is_hidden(token)]
        return str(self._server.post("/detokenize", {"tokens": kept})["content"]).encode("utf-8", "replace")

    def label(self, token: int) -> bytes:
        """The text of one token; a control token's name."""
        return self.detokenize((token,), special=True)

    def is_hidden(self, token: int) -> bool:
        """Whether the token has a name and no text: the name means it only where names are looked for."""
        self.check((token,))
        known = self._hidden.get(token)
        if known is None:
            name = str(self._server.post("/detokenize", {"tokens": [token]})["content"])
            looks = name.startswith("<") and name.endswith(">")
            known = looks and self._one(name) == token and self._tokens(name, frame=False, special=False) != [token]
            self._hidden[token] = known
        return known

    @cached_property
    def _hidden(self) -> dict[int, bool]:
        return {}

    @cached_property
    def infill(self) -> tuple[int, int, int] | None:
        """The tokens before a prefix, before a suffix, and before the middle; None without them."""
        for names in _GAPS:
            first, second, third = (self._one(name) for name in names)
            if first is not None and second is not None and third is not None:
                return first, second, third
        return None

    def has(self, name: str) -> bool:
        """Whether `name` is a control token."""
        token = self._one(name)
        return token is not None and self.is_hidden(token)

    def _one(self, name: str) -> int | None:
        found = self._tokens(name, frame=False, special=True) if name else []
        return found[0] if len(found) == 1 else None

    def _tokens(self, text: str, *, frame: bool, special: bool) -> list[int]:
        wish = {"content": text, "add_special": frame, "parse_special": special}
        return [int(token) for token in self._server.post("/tokenize", wish)["tokens"]]
