"""Text that does not say its encoding: how much is read, and how much wrongly. `python -m bench charsets`.

The texts are one to forty messages of Django's catalogues, in the languages of `ENCODINGS`, as lines, a table or
running text, in each of the encodings that were usual for them. Nothing was set by these catalogues' words: chardet's
tables come from elsewhere.
"""

from __future__ import annotations

import random
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import chardet

from bench.peer import Peer, installed
from bench.report import Figure, Goal, Outcome, Settings
from headrace.knowledge.formats.charsets import unstated

DJANGO = Peer("Django", "5.2.19", "", ["django==5.2.19"])
TEXTS = 60
"""Of each language and encoding."""
MESSAGES = (1, 2, 3, 5, 8, 15, 40)
ENOUGH = 16
"""Letters beyond ASCII from which on a text is to be read; one with fewer may be refused."""
WRONG, READ = 0.5, 95.0
ENCODINGS = {
    "ja": "cp932 euc_jp", "zh_Hans": "gb18030", "zh_Hant": "big5", "ko": "cp949",
    "ru": "cp1251 koi8_r iso8859_5 cp866", "uk": "cp1251 koi8_u", "bg": "cp1251", "sr": "cp1251", "kk": "kz1048",
    "el": "cp1253 iso8859_7", "he": "cp1255", "ar": "cp1256 iso8859_6", "fa": "cp1256", "th": "cp874", "vi": "cp1258",
    "de": "cp1252 cp850 mac_roman", "fr": "cp1252 cp850 mac_roman", "es": "cp1252 cp850 mac_roman", "it": "cp1252",
    "pt": "cp1252", "nl": "cp1252", "sv": "cp1252 cp850", "da": "cp1252 cp850", "fi": "cp1252", "sq": "cp1252",
    "pl": "cp1250 iso8859_2 cp852", "cs": "cp1250 iso8859_2 cp852", "sk": "cp1250", "hu": "cp1250 iso8859_2",
    "hr": "cp1250", "sl": "cp1250", "ro": "cp1250", "tr": "cp1254", "et": "cp1257", "lv": "cp1257", "lt": "cp1257",
}  # fmt: skip
_SAME = str.maketrans("ţşŢŞ", "țșȚȘ")
"""Romanian's letters, of which each encoding has one form or the other."""


@dataclass(slots=True)
class Counted:
    """`enough`: those with `ENOUGH` letters, of which `right` were read."""

    texts: int = 0
    wrong: int = 0
    enough: int = 0
    right: int = 0
    seconds: float = 0.0


def run(settings: Settings) -> Outcome:
    root = installed(DJANGO, settings.data).parents[1]
    written = list(_written(_messages(root), settings.of(TEXTS)))
    counted = {"headrace": _counted(written, unstated), "chardet": _counted(written, _by_chardet)}
    figures: list[Figure] = []
    for who, found in counted.items():
        ours = who == "headrace"
        wrong, read = 100 * found.wrong / max(1, found.texts), 100 * found.right / max(1, found.enough)
        figures += [
            Figure("charsets: read wrongly", who, "%", wrong, goals=_goal(ours, f"<= {WRONG} %", wrong <= WRONG)),
            Figure(
                f"charsets: read rightly, {ENOUGH} letters and more", who, "%", read,
                goals=_goal(ours, f">= {READ:.0f} %", read >= READ),
            ),
            Figure("charsets: a text", who, "ms", 1000 * found.seconds / max(1, found.texts)),
        ]  # fmt: skip
    kinds = sum(len(e.split()) for e in ENCODINGS.values())
    return Outcome(figures, [f"charsets: {len(written)} texts in {kinds} pairs of language and encoding"])


def _goal(ours: bool, text: str, met: bool) -> Sequence[Goal]:
    return [Goal(text, met)] if ours else []


def _messages(root: Path) -> dict[str, list[str]]:
    """Language -> what Django says in it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.glob("lib/python*/site-packages/django/**/locale/*/LC_MESSAGES/*.mo")):
        found[path.parents[1].name] += _translated(path.read_bytes())
    return found


def _translated(catalogue: bytes) -> Iterator[str]:
    """The messages of a compiled catalogue, https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html"""
    count, _, table = struct.unpack_from("<3I", catalogue, 8)
    for n in range(1, count):  # the first is about the catalogue
        length, at = struct.unpack_from("<2I", catalogue, table + 8 * n)
        yield from catalogue[at : at + length].decode().split("\0")


def _written(messages: dict[str, list[str]], texts: int) -> Iterator[tuple[bytes, str]]:
    for language, encodings in ENCODINGS.items():
        for encoding in encodings.split():
            chance = random.Random(language + encoding)
            for _ in range(texts):
                content = _text(messages[language], chance).encode(encoding, "ignore")
                if not content.isascii():
                    yield content, content.decode(encoding)


def _text(messages: list[str], chance: random.Random) -> str:
    some = chance.choices(messages, k=chance.choice(MESSAGES))
    rows = "".join(f"{n},{message}\r\n" for n, message in enumerate(some))
    return chance.choice(("\n".join(some), "id,text\r\n" + rows, " ".join(some)))


def _counted(written: Sequence[tuple[bytes, str]], read: Callable[[bytes], str | None]) -> Counted:
    counted = Counted()
    for content, wanted in written:
        began = time.perf_counter()
        found = read(content)
        counted.seconds += time.perf_counter() - began
        right = found is not None and found.translate(_SAME) == wanted.translate(_SAME)
        enough = sum(not c.isascii() and c.isalpha() for c in wanted) >= ENOUGH
        counted.texts += 1
        counted.wrong += found is not None and not right
        counted.enough += enough
        counted.right += enough and right
    return counted


def _by_chardet(content: bytes) -> str | None:
    found = chardet.detect(content)["encoding"]
    try:
        return content.decode(found or "ascii")
    except (UnicodeError, LookupError):
        return None
