"""A reader's process with formats that do harm: `python -m tests.hostile_reader`."""

from __future__ import annotations

import os
import time

from headrace.knowledge.parsed import File, Parsed
from headrace.knowledge.worker import main
from headrace.registry import FORMATS


def loop(file: File) -> Parsed:
    while True:
        pass


def asleep(file: File) -> Parsed:
    time.sleep(3600)
    raise AssertionError("it slept long enough")


def eat(file: File) -> Parsed:
    eaten: list[bytearray] = []
    while True:
        eaten.append(bytearray(b"x" * (16 << 20)))


def crash(file: File) -> Parsed:
    os.abort()


def fail(file: File) -> Parsed:
    raise ZeroDivisionError("of a library")


def chatter(file: File) -> Parsed:
    os.write(1, b"noise of a library on standard output")
    print("more of it")
    return Parsed("", "heard", False)


def large(file: File) -> Parsed:
    return Parsed("", "x" * (64 << 20), False)


def breath(file: File) -> Parsed:
    time.sleep(0.2)
    return Parsed("", "read", False)


def pages(file: File) -> Parsed:
    """Slow, but going on."""
    for _ in range(6):
        began = time.process_time()
        while time.process_time() - began < 0.4:
            pass
        file.page()
    return Parsed("", "read", False)


FORMATS.update(
    {
        f"test/{name}": f"tests.hostile_reader:{name}"
        for name in ("loop", "asleep", "eat", "crash", "fail", "chatter", "large", "breath", "pages")
    }
)

if __name__ == "__main__":
    main()
