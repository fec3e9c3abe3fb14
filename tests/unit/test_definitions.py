"""Definitions of the usual languages: where they begin, how deep they stand, what they are called."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.chunk import chunk
from headrace.knowledge.definitions import definitions
from headrace.knowledge.parse import parse
from tests.unit.test_chunk import tokenizer

CASES = {
    "a.py": (
        '''
        import os

        @dataclass
        class Desk:
            """A class of desks."""

            # sells
            async def sell(self, seat: str) -> None:
                if seat: return

        def main(): pass
        ''',
        ["1 class Desk", "2 async def sell", "1 def main"],
    ),
    "a.java": (
        """
        /** Doc. */
        @Entity
        public final class Foo<T> extends Bar {
            private int x = 3;
            public Foo(int a,
                       String b) throws IOException {
                if (a > 3) { return; }
                for (int i = 0; i < 3; i++) {
                }
            }
            abstract void nothing();
            enum Kind { A, B }
        }
        """,
        ["1 public final class Foo<T> extends Bar", "2 public Foo", "2 enum Kind"],
    ),
    "a.ts": (
        """
        export const fetchAll = async (url: string): Promise<X> => {
          if (url) { go(); }
          return call(url, () => { return 1; });
        };
        export default class Desk extends Base<Props> {
          private seats = new Map<string, number>();
          async sell(seat: string): Promise<void> {
            for (const x of this.seats) {
              console.log(x);
            }
          }
        }
        """,
        ["1 export const fetchAll", "1 export default class Desk extends Base<Props>", "2 async sell"],
    ),
    "a.rs": (
        """
        #[derive(Debug)]
        pub struct Log<T> { at: T }
        impl<T: Clone> Log<T> {
            /// Appends.
            pub fn append(&mut self, at: T) -> Result<(), Error> {
                match at { _ => Ok(()) }
            }
        }
        """,
        ["1 pub struct Log<T>", "1 impl<T: Clone> Log<T>", "2 pub fn append"],
    ),
    "a.go": (
        """
        package main
        // Path says where.
        func (s Socket) Path() string {
        \treturn s.path
        }
        type Socket struct {
        \tpath string
        }
        """,
        ["1 package main", "1 func (s Socket) Path", "1 type Socket struct"],
    ),
    "a.cpp": (
        """
        int total(const int *of, int n);
        class Fun: public Base
        {
        \tvoid grad(double *w);
        };
        double Fun::value(double *w)
        {
        \tif(w != NULL) { return 1; }
        \treturn total(w, 3);
        }
        """,
        ["1 class Fun: public Base", "1 double Fun::value"],
    ),
    "a.rb": ("module A\n  class B < C\n    def y?\n    end\n  end\nend\n", ["1 module A", "2 class B < C", "3 def y?"]),
    "a.sql": (
        "-- all seats\nCREATE TABLE IF NOT EXISTS seats (id int);\ncreate or replace view v as select 1;\n",
        ["1 CREATE TABLE IF NOT EXISTS seats", "1 create or replace view v as select 1"],
    ),
    "a.sh": ("set -e\nusage() {\n  echo\n}\nfunction go {\n  x\n}\n", ["1 usage", "1 function go"]),
    "a.toml": ("a = [1]\n[project]\nname = 'x'\n[[tool.x]]\n", ["1 [project]", "1 [[tool.x]]"]),
    "a.yaml": ("# how\nservices:\n  web:\n    image: x\nvolumes: {}\n", ["1 services", "1 volumes"]),
}


@pytest.mark.parametrize("path", CASES)
def test_definitions_are_found_at_their_depth(path: str) -> None:
    text, expected = CASES[path]

    assert [f"{level} {words}" for _, level, words in definitions(path, dedent(text))] == expected


def test_comments_and_decorators_belong_to_what_they_stand_above() -> None:
    text = "x = 1\n# not this\n\n# of f\n@cached\ndef f():\n    pass\n"

    assert definitions("a.py", text) == ((text.index("# of f"), 1, "def f"),)


def test_code_is_cut_at_its_definitions() -> None:
    body = "".join(f"    value_{n} = compute(value_{n - 1}, offset={n})\n" for n in range(12))
    text = "import os\n\n\nclass Desk:\n" + "".join(f"    def sell_{n}(self):\n    {body}\n" for n in range(3))

    pieces = chunk(parse("desk.py", text.encode()), tokenizer())

    firsts = [p.text.splitlines()[0].strip() for p in pieces]
    assert firsts == ["import os", "class Desk:", "def sell_1(self):", "def sell_2(self):"]
    assert pieces[-1].heading == "class Desk › def sell_2"
    assert all(text[p.start : p.end] == p.text for p in pieces)


@given(st.text("abc{}();=:#@/*\n\t \"'defclass", max_size=300), st.sampled_from(sorted(CASES)))
def test_any_text_has_definitions_in_order(text: str, path: str) -> None:
    places = [at for at, _, _ in definitions(path, text)]

    assert places == sorted(set(places))
    assert all(at == 0 or text[at - 1] == "\n" for at in places)


@pytest.mark.parametrize("line", ["a " * 199 + "(", "f(" + "(" * 300, "public " * 57, "x<" * 190, "(" + "a," * 190])
def test_lines_that_look_like_definitions_for_long_define_nothing(line: str) -> None:
    assert definitions("a.cpp", (line + "\n") * 2000) == ()
