"""How many tokens a text has, without taking it apart anew each time.

A text is cut by trying: each word of it is counted several times. A tokenizer of BERT's kind splits at blanks before
all else, so that a text has as many tokens as its words have together, and each word needs to be counted once.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

Count = Callable[[str], int]

KEPT = 100_000
"""So many words' counts are remembered."""
LONG = 64
"""Characters from which on a word is seldom seen twice."""
# Blanks to Python, but left out by the tokenizer, so that what stands before and behind them is one word to it.
_LEFT_OUT = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_WORD = re.compile(r"[^ \t\n\r]+")


def counter(tokenizer: Tokenizer) -> Count | None:
    """Counts as `tokenizer` does without its special tokens; None where its words do not stand for themselves.

    The tokenizer must neither truncate nor pad.
    """
    plain = (
        isinstance(tokenizer.model, WordPiece)
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and isinstance(tokenizer.normalizer, BertNormalizer)
        and tokenizer.normalizer.clean_text
    )
    if not plain or any(_WORD.fullmatch(t.content) is None for t in tokenizer.get_added_tokens_decoder().values()):
        return None
    of_word = _Seen(tokenizer).__getitem__

    def count(text: str) -> int:
        return sum(map(of_word, _WORD.findall(text) if _LEFT_OUT.search(text) else text.split()))

    return count


class _Seen(dict[str, int]):
    """Counts of words by word."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __missing__(self, word: str) -> int:
        count = len(self._tokenizer.encode(word, add_special_tokens=False).ids)
        if len(word) < LONG:
            if len(self) >= KEPT:
                self.clear()
            self[word] = count
        return count
