"""How much of a text a service's model reads, and how many tokens that is.

Query parameters that all services take:

- `tokenizer`: path of a tokenizer.json, by which texts are cut and counted. Without it the tokenizer of the model that
  Headrace comes with estimates, and a quarter is added to what it counts.
- `max_tokens`: what the model reads of a text; longer ones are cut there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tokenizers import Tokenizer

ESTIMATE = 1.25
"""Tokens of a model for each token of another's tokenizer, with room to spare."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text as it is sent, and about how many tokens that is."""

    sent: str
    tokens: int


class Cutter:
    """Cuts texts at `max_tokens`. `own`: the tokenizer is the model's, and does not truncate or pad."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, *, own: bool) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._ratio = 1.0 if own else ESTIMATE

    def count(self, text: str) -> int:
        """Estimated upwards where the tokenizer is not the model's."""
        return math.ceil(len(self.tokenizer.encode(text).ids) * self._ratio)

    def cut(self, text: str) -> Cut:
        """As much of it as the model reads. Raises TypeError or ValueError for a lone surrogate."""
        encoded = self.tokenizer.encode(text)
        text.encode()
        most = max(1, int(self.max_tokens / self._ratio))
        if len(encoded.ids) <= most:
            return Cut(text, math.ceil(len(encoded.ids) * self._ratio))
        ends = [end for _, end in encoded.offsets[:most]]
        return Cut(text[: max(ends)], self.max_tokens)
