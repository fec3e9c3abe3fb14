"""The demo's policies: copied once, saved whole, never outside their folder; and the simulator's edits of them."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.demo.errors import Refused, UnknownPlace
from headrace.demo.policies import MAX_BYTES, copy_policies, list_policies, read_policy, save, write_policy
from headrace.demo.simulator.customers import FREE_BAGS, INSURANCE
from headrace.demo.simulator.policy_edits import EDITS, PolicyEdit, edit_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_policies(tmp_path / "policies")
    return tmp_path / "policies"


def test_a_first_start_copies_all_policies(tmp_path: Path) -> None:
    written = copy_policies(tmp_path / "policies")

    titles = {policy.name: policy.title for policy in list_policies(tmp_path / "policies")}
    assert sorted(titles) == written
    assert titles["baggage.md"] == "Checked bags"
    assert {"booking.md", "cancellation.md", "changes.md", "refunds.md", "insurance.md", "payment.md"} <= set(titles)


def test_a_later_start_leaves_edits_and_deletions_alone(folder: Path) -> None:
    (folder / "baggage.md").write_text("mine")
    (folder / "refunds.md").unlink()

    assert copy_policies(folder) == []

    assert read_policy(folder, "baggage.md") == "mine"
    assert not (folder / "refunds.md").exists()


def test_the_allowance_can_be_quoted_as_one_line(folder: Path) -> None:
    lines = [line for line in read_policy(folder, "baggage.md").splitlines() if "gold member" in line]

    assert len(lines) == 1
    assert "3 free checked bags for each business passenger" in lines[0]


def test_the_simulator_books_by_the_written_policy(folder: Path) -> None:
    baggage, insurance = read_policy(folder, "baggage.md"), read_policy(folder, "insurance.md")

    for membership, allowance in FREE_BAGS.items():
        line = next(line for line in baggage.splitlines() if f"a {membership} member" in line)
        assert tuple(map(int, re.findall(r"(\d) free", line))) == allowance
    assert f"{INSURANCE} dollars per passenger" in insurance


@pytest.mark.parametrize(
    "name",
    ["../secret.md", "/etc/passwd", "..", "", "a/b.md", "baggage.md/..", ".hid.md", "baggage.txt", "a\x00.md", "x.md"],
)
def test_names_outside_the_folder_or_unknown_are_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret.md").write_text("secret")

    with pytest.raises(UnknownPlace):
        read_policy(folder, name)
    with pytest.raises(UnknownPlace):
        write_policy(folder, name, "changed")

    assert (folder.parent / "secret.md").read_text() == "secret"


@given(st.text(max_size=30))
def test_no_name_reaches_a_file_that_is_not_listed(name: str) -> None:
    folder = Path(__file__).parents[2] / "src" / "headrace" / "demo" / "policies"
    listed = {policy.name for policy in list_policies(folder)}

    if name not in listed:
        with pytest.raises(UnknownPlace):
            read_policy(folder, name)


def test_a_link_out_of_the_folder_is_no_policy(folder: Path) -> None:
    (folder.parent / "secret.md").write_text("# Secret")
    (folder / "link.md").symlink_to(folder.parent / "secret.md")

    assert "link.md" not in {policy.name for policy in list_policies(folder)}
    with pytest.raises(UnknownPlace):
        read_policy(folder, "link.md")


def test_a_text_that_is_too_long_is_refused_and_nothing_is_saved(folder: Path) -> None:
    before = read_policy(folder, "baggage.md")

    with pytest.raises(Refused, match="at most"):
        write_policy(folder, "baggage.md", "é" * (MAX_BYTES // 2 + 1))

    assert read_policy(folder, "baggage.md") == before


def test_a_reader_never_sees_a_part_of_a_text(folder: Path) -> None:
    path, texts = folder / "baggage.md", {"a" * 100_000, "b" * 100_000}
    save(path, "a" * 100_000)
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in sorted(texts):
            save(path, text)
    done.set()
    reader.join()

    assert seen
    assert seen <= texts
    assert [entry.name for entry in folder.iterdir() if entry.name.startswith(".")] == []


def test_a_save_that_fails_leaves_the_old_text_and_no_remains(folder: Path) -> None:
    before = read_policy(folder, "baggage.md")

    with pytest.raises(UnicodeEncodeError):
        save(folder / "baggage.md", "\ud800")

    assert read_policy(folder, "baggage.md") == before
    assert not [entry for entry in folder.iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_edit_finds_its_place_and_comes_back(folder: Path, edit: PolicyEdit) -> None:
    original = read_policy(folder, edit.name)
    text: str | None = original

    for value in [*edit.values[1:], edit.values[0]]:
        assert text is not None
        text = edit.applied(text)
        assert text is not None
        found = edit.pattern.search(text)
        assert found is not None
        assert found[1] == value

    assert text == original


def test_what_a_person_wrote_is_not_edited(folder: Path) -> None:
    for edit in EDITS:
        text = read_policy(folder, edit.name)
        found = edit.pattern.search(text)
        assert found is not None
        write_policy(folder, edit.name, text[: found.start(1)] + "7" + text[found.end(1) :])
    before = {policy.name: read_policy(folder, policy.name) for policy in list_policies(folder)}

    assert not any(edit_policy(folder, Random(seed)) for seed in range(30))

    assert {name: read_policy(folder, name) for name in before} == before


def test_an_edit_changes_one_policy(folder: Path) -> None:
    before = {policy.name: read_policy(folder, policy.name) for policy in list_policies(folder)}

    assert edit_policy(folder, Random(1))

    after = {name: read_policy(folder, name) for name in before}
    assert sum(after[name] != before[name] for name in before) == 1
