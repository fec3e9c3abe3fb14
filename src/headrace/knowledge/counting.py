"""How many tokens a text has, as far as it can matter, without taking it apart anew each time.

A text is cut by trying: each word of it is counted several times, and those of a long one before it is known to be too
long. A tokenizer of BERT's kind splits at blanks before all else, so that a text has as many tokens as its words have
together: each word needs to be counted once, none behind those that are too many, and of a text that goes on from the
one before only what is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
_LEFT_OUT = ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85")
_BLANKS = " \t\n\r"
_WORD = re.compile(r"[^ \t\n\r]+")


def counter(tokenizer: Tokenizer, most: int) -> Count | None:
    """Counts as `tokenizer` does without its special tokens; what comes to more than `most` may come to any number
    above it. None where a tokenizer's words do not stand for themselves.

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
    return _Counter(tokenizer, most).count


class _Counter:
    """Threads may share it: what it remembers is replaced as a whole."""

    def __init__(self, tokenizer: Tokenizer, most: int) -> None:
        self._of_word = _Seen(tokenizer).__getitem__
        self._most = most
        self._fits = ("", 0)
        """The last text that had no more than `most`, and its tokens."""
        self._over = ""
        """The last one that had more."""

    def count(self, text: str) -> int:
        if _goes_on(text, self._over):
            return self._most + 1
        before, tokens = self._fits
        if not _goes_on(text, before):
            before, tokens = "", 0
        tokens = self._more(text[len(before) :], tokens)
        if tokens > self._most:
            self._over = text
        else:
            self._fits = text, tokens
        return tokens

    def _more(self, rest: str, tokens: int) -> int:
        """With those of the rest, which are looked at as long as there are not too many."""
        while rest and tokens <= self._most:
            words, rest = _words(rest, self._most)
            tokens += sum(map(self._of_word, words))
        return tokens


def _goes_on(text: str, before: str) -> bool:
    """Whether a text begins with another one's words."""
    if not before or not text.startswith(before):
        return False
    return len(text) == len(before) or text[len(before)] in _BLANKS


def _words(text: str, some: int) -> tuple[Sequence[str], str]:
    """The first words of a text, and what follows."""
    for left_out in _LEFT_OUT:
        if left_out in text:
            return _WORD.findall(text), ""
    words = text.split(None, some)
    return words, words.pop() if len(words) > some else ""


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
