"""The stems that what is stored was made with: another release of the library must not bring others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.stemming import stemmed

STEMS = {
    "delays": "delay", "delayed": "delay", "refunds": "refund", "refundable": "refund", "cancelled": "cancel",
    "cancellation": "cancel", "generously": "generous", "skies": "sky", "dying": "die", "news": "news",
    "replication": "replic", "replicates": "replic", "naïvely": "naïv", "été": "été", "cafés": "café", "": "", "s": "s",
}  # fmt: skip


@pytest.mark.parametrize("word", STEMS)
def test_stems(word: str) -> None:
    assert stemmed(word) == STEMS[word]


def test_what_cannot_be_encoded_stays() -> None:
    assert stemmed("ab\ud800ing") == "ab\ud800ing"


def test_threads_do_not_disturb_each_other() -> None:
    words = list(STEMS) * 300
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(stemmed, words)) == [STEMS[w] for w in words]
