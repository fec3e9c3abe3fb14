"""The comparison of a tree with what is known."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.sources.files.known import Index, Known, Signature
from headrace.sources.files.scan import Tree, differences

PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
SIGNATURES = st.builds(Signature, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))


def _known(seen: Signature, racy: bool, rejected: str) -> Known:
    return Known(b"" if rejected else b"x", *seen, racy=racy, rejected=rejected)


KNOWN = st.builds(_known, SIGNATURES, st.booleans(), st.sampled_from(["", "", "", "size"]))


@given(
    found=st.dictionaries(PATHS, SIGNATURES, max_size=8),
    before=st.dictionaries(PATHS, KNOWN, max_size=8),
    markers=st.sets(PATHS, max_size=3),
    closed=st.sets(st.sampled_from(["a", "a/b", "c"]), max_size=2),
    folder=st.sampled_from(["", "a", "a/b"]),
)
def test_what_is_looked_at_turns_the_known_into_the_found(
    found: dict[str, Signature], before: dict[str, Known], markers: set[str], closed: set[str], folder: str
) -> None:
    # given: a tree below one folder, nothing of it below folders that could not be listed
    below = {p: s for p, s in found.items() if not folder or p.startswith(folder + "/")}
    below = {p: s for p, s in below.items() if not any(p.startswith(c + "/") for c in closed)}
    index = Index({**before, **{m + "/": Known(b"", 0, 0, 0, 0, rejected="folder") for m in markers}})

    # when
    todo = differences(Tree(files=below, closed=dict.fromkeys(closed, "denied")), index, folder)

    # then: after doing it, the same comparison finds nothing but what has to be looked at each time
    for path in todo.read:
        index.put(path, Known(b"x", *below[path]))
    for path in [*todo.gone, *todo.closed, *todo.opened]:
        index.drop(path)
    known_now = {p: k.signature for p in index.below(folder) if not p.endswith("/") and (k := index.get(p)) is not None}
    assert known_now == below
    assert differences(Tree(files=below, closed=dict.fromkeys(closed, "denied")), index, folder) == ([], [], [], [])
    assert {p[:-1] for p in index.below(folder) if p.endswith("/")} <= closed


@given(before=st.dictionaries(PATHS, SIGNATURES, max_size=8))
def test_nothing_is_looked_at_when_nothing_changed(before: dict[str, Signature]) -> None:
    index = Index({path: Known(b"x", *seen) for path, seen in before.items()})

    assert differences(Tree(files=before), index, "") == ([], [], [], [])


def test_a_racy_or_rejected_file_is_looked_at_again() -> None:
    seen = Signature(1, 2, 3, 4)
    index = Index(
        {"racy": Known(b"x", *seen, racy=True), "no": Known(b"", *seen, rejected="size"), "ok": Known(b"x", *seen)}
    )

    assert differences(Tree(files=dict.fromkeys(["racy", "no", "ok"], seen)), index, "").read == ["no", "racy"]
