"""The index of known files, its stored form, and the times that cannot tell two versions apart."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.sources.files.known import Index, Known, Signature, decode, encode, is_racy, state_key, state_path

NAMES = st.sampled_from(["a", "b", "c.md", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ANY_PATH = (
    st.binary(min_size=1, max_size=20)
    .filter(lambda b: b"\0" not in b)
    .map(lambda b: b.decode(errors="surrogateescape"))
)


def known(digest: bytes = b"d") -> Known:
    return Known(digest, 1, 2, 3, 4)


@given(steps=st.lists(st.tuples(st.booleans(), PATHS), max_size=60), folder=st.one_of(st.just(""), PATHS))
def test_the_index_is_a_dict_that_also_knows_what_is_below_a_folder(steps: list[tuple[bool, str]], folder: str) -> None:
    index, model = Index(), dict[str, Known]()

    for put, path in steps:
        if put:
            index.put(path, known(path.encode()))
            model[path] = known(path.encode())
        else:
            index.drop(path)
            model.pop(path, None)

    assert dict(index.items()) == model
    expected = sorted(p for p in model if not folder or p.startswith(folder + "/"))
    assert sorted(index.below(folder)) == expected
    assert all(index.get(path) == model.get(path) for _, path in steps)


@given(path=ANY_PATH)
def test_every_path_has_a_state_key_of_its_own_that_is_text(path: str) -> None:
    key = state_key(path)

    key.encode()
    assert state_path(key) == path


@given(
    path=ANY_PATH,
    value=st.builds(
        Known,
        digest=st.binary(max_size=32),
        size=st.integers(0, 2**62),
        mtime_ns=st.integers(-(2**62), 2**62),
        ctime_ns=st.integers(0, 2**62),
        inode=st.integers(0, 2**64 - 1),
        racy=st.booleans(),
        rejected=st.text(max_size=5),
    ),
)
def test_state_comes_back_as_it_was_stored(path: str, value: Known) -> None:
    stored = encode(value)

    assert stored is not None
    assert decode({state_key(path): stored}) == {path: value}


def test_a_file_read_within_a_tick_of_its_last_write_may_change_without_a_trace() -> None:
    fine, whole = 1_000_000_000_123_456_789, 1_000_000_000_000_000_000

    assert is_racy(Signature(1, fine, fine, 1), fine + 5_000_000)
    assert not is_racy(Signature(1, fine, fine, 1), fine + 50_000_000)
    assert is_racy(Signature(1, whole, whole, 1), whole + 1_500_000_000)
    assert not is_racy(Signature(1, whole, whole, 1), whole + 3_000_000_000)
