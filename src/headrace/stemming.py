"""The English stem of a word, as texts, questions and answers share it."""

from __future__ import annotations

import threading

import Stemmer

_alone = threading.Lock()
_stemmer = Stemmer.Stemmer("english", maxCacheSize=0)
"""Without a memory of its own: callers keep what becomes of words."""


def stemmed(word: str) -> str:
    """Of a word in lower case. What cannot be written down (half of a surrogate pair) stays as it is."""
    try:
        with _alone:  # it keeps its word in itself, and large documents are taken apart in threads
            return _stemmer.stemWord(word)
    except UnicodeEncodeError:
        return word
