# What Headrace uses of pyarrow, which carries no types.
from collections.abc import Mapping, Sequence

class ArrowException(Exception): ...

class Schema:
    names: list[str]

class Array:
    def to_pylist(self) -> list[object]: ...

class RecordBatch:
    columns: list[Array]

class Table: ...

def table(data: Mapping[str, Sequence[object]]) -> Table: ...
