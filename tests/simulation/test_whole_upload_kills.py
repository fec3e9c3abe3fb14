"""kill -9 at random while documents are uploaded, replaced and deleted: what was answered is there, whole."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx2

from tests.uploading import SETTINGS, delete, put, registry, verified
from tests.whole import Whole, children, kill_all, until

SEED = 20261122
KILLS = 4


class Writer:
    """Changes documents of its own, one at a time, each request again until it is answered."""

    def __init__(self, headrace: Whole, number: int) -> None:
        self._headrace = headrace
        self._dice = random.Random(SEED + number)
        self._number = number
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.documents: dict[str, str] = {}
        """What was answered, by id."""
        self.answered = 0

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """After its last request was answered."""
        self._ending.set()
        self._thread.join(240)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            id = f"uploads/{self._number}/{self._dice.randrange(6)}.md"
            if id in self.documents and self._dice.random() < 0.3:
                self._until_answered(id, None)
                del self.documents[id]
            else:
                text = f"# {id}\n\nVersion {self.answered}. " + "word " * self._dice.choice((1, 300, 20_000))
                self._until_answered(id, text)
                self.documents[id] = text
            self.answered += 1

    def _until_answered(self, id: str, text: str | None) -> None:
        while True:
            try:
                headrace = self._headrace
                answer = delete(headrace, id) if text is None else put(headrace, id, text.encode())
            except httpx2.TransportError:
                answer = None
            # A delete that was carried out before the kill finds nothing any more.
            if answer is not None and answer.status in ((202, 404) if text is None else (202,)):
                return
            assert answer is None or answer.status in (429, 503), answer.body
            time.sleep(0.02)


def test_kills_lose_no_upload_and_leave_none_half(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    headrace = Whole(tmp_path, SETTINGS)
    writers = [Writer(headrace, n) for n in range(2)]
    try:
        headrace.start()
        for writer in writers:
            writer.start()
        for n in range(KILLS):
            before = [w.answered for w in writers]
            until(lambda b=before: all(w.answered > a for w, a in zip(writers, b, strict=True)), "both write")
            time.sleep(moments.uniform(0.0, 0.3))
            if n % 3 == 0 and headrace.postmaster:  # what only the store's memory had is gone too
                kill_all([headrace.pid, headrace.postmaster, *children(headrace.postmaster)])
            headrace.kill()
            headrace.start()
        for writer in writers:
            writer.end()

        headrace.settle()
        expected = {id: text for w in writers for id, text in w.documents.items()}
        assert {r["id"]: r["stage"] for r in registry(headrace)} == dict.fromkeys(sorted(expected), "ready")
        for id, text in expected.items():
            assert headrace.document(id)["text"] == text
        report = verified(headrace)
        assert report["equal"], report
        assert report["sources"][0]["compared"] == len(expected)
        assert list((headrace.data / "scratch").glob("upload-*")) == []
    finally:
        headrace.close()


def test_what_was_answered_is_indexed_after_a_kill_before_it_was(tmp_path: Path) -> None:
    headrace = Whole(tmp_path, SETTINGS)
    try:
        headrace.start()
        tokens = [put(headrace, f"uploads/{n}.md", f"# {n}\n\nText {n}.".encode()).body["token"] for n in range(30)]
        assert headrace.postmaster
        kill_all([headrace.pid, headrace.postmaster, *children(headrace.postmaster)])
        headrace.kill()
        headrace.start()

        headrace.search("text", after=tokens[-1], wait_ms=60_000)
        assert {r["name"]: r["stage"] for r in registry(headrace)} == {f"{n}.md": "ready" for n in range(30)}
    finally:
        headrace.close()
