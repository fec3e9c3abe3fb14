"""Definitions in source code: functions, types, sections, by how their lines begin and are indented.

No grammar is asked: a line that is laid out as its language is written is enough, and code that doesn't compile is read
as well. What is missed is part of the definition above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from headrace.knowledge.sections import Heading

LONGEST_LINE = 400
"""Characters of a line that is looked at, at most: longer ones are data, or were written by a program."""
LONGEST_NAME = 80
DEEPEST = 6
_AHEAD = 10
"""Lines on which a list of parameters may go on."""
_TAB = 4

_MODIFIERS = r"""(?:(?:export|default|declare|public|private|protected|internal|fileprivate|open|static|final|abstract
    |async|sealed|partial|data|inline|virtual|override|unsafe|extern(?:[ ]"\w+")?|const|pub(?:\([^)]{1,40}\))?|suspend
    |native|synchronized|readonly|mutating|companion|inner|value|annotation|implicit|case|local|typedef
    |template[ ]?<[^<>]{0,80}>)[ \t]+)*+"""
_KEYWORD = re.compile(
    rf"""{_MODIFIERS}(?:class|interface|struct|enum|union|trait|impl(?:<[^{{]{{1,80}}>)?|fn|func|fun|function\*?|def[pn]?
    |defmodule|defmacro|sub|module|namespace|package|object|protocol|extension|actor|record|mod|macro_rules!|contract
    |library|message|service|rpc|resource|type|proc|subroutine|@interface|@implementation|@protocol)
    [ \t]+[\w"'(*&$<@]""",
    re.VERBOSE,
)
_PYTHON = re.compile(r"(?:async[ \t]+)?def[ \t]+\w+[ \t]*[(\[]|class[ \t]+\w+[ \t]*[:(\[]")
_RUBY = re.compile(r"(?:def|class|module)[ \t]+[\w:.<\[=+\-*/!?]+")
# A name with a list of parameters, perhaps with types before it; whether a body follows is seen behind the list.
_CALLABLE = re.compile(
    r"""(?!(?:if|for|foreach|while|switch|catch|return|else|do|using|throw|new|delete|case|await|yield|lock|try|assert
    |typeof|sizeof|synchronized|match|when|until|unless|elif|elsif|super|with|print|require|import)\b)
    (?:[\w:<>,\[\]&*~?.@]+[ \t]+)*+[*&]{0,2}(?:[\w:~\#$]+|operator[^\s(]{1,3})[ \t]*(?:<[^<>()]{0,80}>)?\(""",
    re.VERBOSE,
)
_TYPED = re.compile(r"[\w:<>,\[\]&*~?.@]+[ \t]+[*&]{0,2}(?:[\w:~]+|operator[^\s(]{1,3})[ \t]*\(")
_ARROW = re.compile(
    r"(?:export[ \t]+(?:default[ \t]+)?)?(?:const|let|var)[ \t]+[\w$]+[ \t]*(?::[^=]{1,120})?=[ \t]*"
    r"(?:async[ \t]*)?(?:function\b|\w+[ \t]*=>|\([^()]{0,200}\)[^=]{0,80}=>|\([^()]*$)"
)
_SQL = re.compile(
    r"(?i:create|alter)[ \t]+(?i:or[ \t]+replace[ \t]+)?(?:\w+[ \t]+){0,3}?"
    r"(?i:table|view|function|procedure|trigger|index|type|schema|sequence|policy|database)[ \t]+[\w\"`\[.]"
)
_SHELL = re.compile(r"function[ \t]+[\w:.-]+|[\w:.-]+[ \t]*\([ \t]*\)[ \t]*(?:\{|$)")
_CONFIG = re.compile(r"\[{1,2}[^\[\]\n]{1,80}\]{1,2}[ \t]*(?:#.*)?$")
_YAML = re.compile(r"""(?:[\w./-]+|"[^"\n]{1,60}"|'[^'\n]{1,60}')[ \t]*:(?:[ \t]|$)""")
_ASSIGNED = re.compile(r"[\w.]+[ \t]*(?:<-|=)[ \t]*function[ \t]*\(")
_LISP = re.compile(r"\((?:ns|def\w*[-!]?)[ \t]+[^\s()]")
_SIGNED = re.compile(r"(?:data|newtype|type|class|instance|module)[ \t]+\S|[a-z_][\w']*[ \t]*::[ \t]")
# Above a definition and part of it: comments, decorators, attributes.
_ATTACHED = re.compile(r"[ \t]*(?:#|//|/\*|\*|--|;;|%|'|@|\[[^\]]*\][ \t]*$|\"\"\"|///)")
# A method of Go names its receiver first.
_NAMED = re.compile(r"(func[ \t]+\([^()]*\)[ \t]*)?(.*?)[ \t]*(?:\{|=>|:[ \t]*(?:#.*)?$|[ \t]=[ \t]|\(|$)")


@dataclass(frozen=True, slots=True)
class _Language:
    """How definitions begin. `callable`: also a name with parameters before a body in braces, as in C; `typed`: it has
    a type before its name outside of a class. `top`: only lines that are not indented."""

    patterns: tuple[re.Pattern[str], ...]
    callable: bool = False
    typed: bool = False
    top: bool = False


_LANGUAGES: tuple[tuple[str, _Language], ...] = (
    (".py .pyi", _Language((_PYTHON,))),
    (".rb .ex .exs .jl .cr", _Language((_KEYWORD, _RUBY))),
    (".c .h .cc .cpp .cxx .hpp .m .mm", _Language((_KEYWORD,), callable=True, typed=True)),
    (".java .cs .dart .groovy .gradle .php .kt .kts .scala .swift", _Language((_KEYWORD,), callable=True)),
    (".js .mjs .cjs .jsx .ts .tsx .vue .svelte", _Language((_KEYWORD, _ARROW), callable=True)),
    (".sql", _Language((_SQL,))),
    (".sh .bash .zsh .ps1", _Language((_SHELL,))),
    (".toml .ini .cfg", _Language((_CONFIG,), top=True)),
    (".yaml .yml", _Language((_YAML,), top=True)),
    (".r", _Language((_ASSIGNED,))),
    (".clj", _Language((_LISP,), top=True)),
    (".hs", _Language((_SIGNED,), top=True)),
)
_BY_SUFFIX = {suffix: language for suffixes, language in _LANGUAGES for suffix in suffixes.split()}
_ANY = _Language((_KEYWORD,))


def definitions(path: str, text: str) -> tuple[Heading, ...]:
    """Where definitions begin, their comments and decorators with them; how deep they stand; their first words."""
    language = _BY_SUFFIX.get(PurePosixPath(path).suffix.lower(), _ANY)
    lines = text.split("\n")
    found: list[Heading] = []
    above: list[int] = []
    at, attached = 0, -1
    for n, line in enumerate(lines):
        words = line.strip()
        if words and len(line) <= LONGEST_LINE and _defines(language, lines, n, words):
            indent = _indent(line)
            while above and above[-1] >= indent:
                above.pop()
            if len(above) < DEEPEST:
                found.append((attached if attached >= 0 else at, len(above) + 1, _name(words)))
            above.append(indent)
            attached = -1
        elif not words or not _ATTACHED.match(line):
            attached = -1
        elif attached < 0:
            attached = at
        at += len(line) + 1
    return tuple(found)


def _defines(language: _Language, lines: Sequence[str], n: int, words: str) -> bool:
    indented = lines[n][:1] in (" ", "\t")
    if language.top and indented:
        return False
    if any(pattern.match(words) for pattern in language.patterns):
        return not (words.endswith(";") and language.callable)
    if not language.callable or not _CALLABLE.match(words):
        return False
    if language.typed and not _TYPED.match(words):
        return False
    return _has_body(lines[n : n + _AHEAD])


def _has_body(lines: Sequence[str]) -> bool:
    """Whether a brace opens behind a list of parameters, before the statement ends or another list begins."""
    depth, closed = 0, False
    for char in _chars(lines):
        match char:
            case "(" if closed:
                return False
            case "(":
                depth += 1
            case ")":
                depth -= 1
                closed = closed or depth == 0
            case "{" if depth == 0:
                return closed
            case ";" | "=" if depth == 0:
                return False
            case _:
                pass
    return False


def _chars(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from line[:LONGEST_LINE].partition("//")[0]


def _indent(line: str) -> int:
    blanks = line[: len(line) - len(line.lstrip())]
    return len(blanks.replace("\t", " " * _TAB))


def _name(words: str) -> str:
    """A definition's words up to its parameters or its body."""
    match = _NAMED.match(words)
    named = (match[1] or "") + match[2] if match else ""
    return (named.rstrip(" ;,:") or words)[:LONGEST_NAME].strip()
