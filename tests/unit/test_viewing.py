"""Every statement that reads documents for somebody asks what they may read: one that is new must, or say why not."""

from __future__ import annotations

from headrace.access import ANYBODY, OPERATOR, Viewer
from headrace.stores.postgres.search import SQL
from headrace.stores.postgres.viewing import Viewing

NOT_ASKED = {
    "plan_once": "reads nothing: how the next ones are planned",
    "corpus": "totals of everything, which scores are made with",
    "postings": "numbers of chunks, held against what may be read before anything is read of them",
    "recent": "the same",
    "recent_terms": "the same",
    "dead": "the same",
    "sample": "vectors by which it is judged how all of them lie",
    "nearest_of_these": "of chunks that few_inside gave",
    "similarities": "of chunks that were held against it",
    "document_chunks": "of a version that `document` gave",
}


def test_every_statement_that_reads_documents_asks_what_may_be_read() -> None:
    asking = {name for name, sql in SQL.items() if b"{inside}" in sql or b"{readable}" in sql}
    conditions = {name for name in SQL if name.startswith("inside_")}
    assert asking | conditions | NOT_ASKED.keys() == set(SQL)
    assert not asking & NOT_ASKED.keys()


def test_an_operator_s_statements_have_no_condition_and_others_always_have() -> None:
    assert Viewing(OPERATOR).of("t") == Viewing(OPERATOR, past=True).of_version == b"true"
    assert b"document_access" in Viewing(ANYBODY).of("t")
    assert b"t.document" in Viewing(ANYBODY).of("t", of_all=True)
    past = Viewing(Viewer("ada", frozenset({"hr"})), past=True)
    assert b"v.access" in past.of_version
    assert b"{" not in past.of_version
    assert past.args == {"viewer": "ada", "viewer_groups": ["*", "hr"]}
