# What Headrace uses of fastavro.
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

class reader:
    writer_schema: Mapping[str, Sequence[Mapping[str, str]]]
    def __init__(self, fo: BinaryIO) -> None: ...
    def __iter__(self) -> Iterator[Mapping[str, object]]: ...

def writer(fo: BinaryIO, schema: Mapping[str, object], records: Iterable[Mapping[str, object]]) -> None: ...
