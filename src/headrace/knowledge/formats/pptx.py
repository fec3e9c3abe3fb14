"""PowerPoint (.pptx): slides in order, with tables, charts, descriptions of pictures, notes and comments.

By ECMA-376 part 1, 19.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.knowledge.formats.drawing import Relations, block, placeholder, shapes
from headrace.knowledge.formats.office import core, words_of
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, attribute, child, local, words
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

_TITLES = ("title", "ctrTitle")


def parse(file: File) -> Parsed:
    package = Package(file, "a PowerPoint presentation")
    main = next((t for k, t in package.relations("").values() if k == "officeDocument"), "ppt/presentation.xml")
    relations = package.relations(main)
    draft = Draft(file)
    first = ""
    people = _people(package, relations)
    wanted = [_relation(e) for e in package.xml(main).iter() if local(e) == "sldId"]
    for number, name in enumerate((relations[id][1] for id in wanted if id in relations), 1):
        file.page()
        if not package.has(name):
            continue
        draft.begin(Place(slide=number))
        title, text = _slide(package, name)
        first = first or title
        draft.add(f"# {title or f'Slide {number}'}\n\n{text}{_notes(package, name)}{_comments(package, name, people)}")
    about = core(package)
    plain = about.title if about.title.lower() not in ("", "powerpoint presentation") else ""
    return draft.done(plain or first or name_of(file.path), dated=about.dated, metadata=about.metadata)


def _relation(element: Element) -> str:
    """The relation's id: a slide has a number named `id` of its own too."""
    return next((v for k, v in element.attrib.items() if k.endswith("}id")), "")


def _slide(package: Package, name: str) -> tuple[str, str]:
    relations = package.relations(name)
    root = package.xml(name)
    tree = next((e for e in root.iter() if local(e) == "spTree"), root)
    title = ""
    blocks: list[str] = []
    for shape in shapes(tree):
        if local(shape) == "sp" and not title and placeholder(shape) in _TITLES:
            title = " ".join(words_of(shape).split())
        elif text := block(package, relations, shape):
            blocks.append(text)
    return title, "".join(b.strip("\n") + "\n\n" for b in blocks)


def _notes(package: Package, slide: str) -> str:
    for kind, target in package.relations(slide).values():
        if kind == "notesSlide" and package.has(target):
            tree = package.xml(target)
            body = [s for s in tree.iter() if local(s) == "sp" and placeholder(s) == "body"]
            text = "\n".join(words_of(s) for s in body).strip()
            return f"### Notes\n\n{text}\n\n" if text else ""
    return ""


def _people(package: Package, relations: Relations) -> Mapping[str, str]:
    """Names of those who comment, by number or, since 2021, by a longer id."""
    parts = [t for kind, t in relations.values() if kind in ("commentAuthors", "authors") and package.has(t)]
    return {attribute(e, "id") or "": attribute(e, "name") or "" for part in parts for e in package.xml(part)}


def _comments(package: Package, slide: str, people: Mapping[str, str]) -> str:
    """Comments and replies in either form (ECMA-376 part 1, 19.4; [MS-PPTX] 2.6.11)."""
    found: list[str] = []
    for kind, target in package.relations(slide).values():
        for element in package.xml(target).iter() if kind == "comments" and package.has(target) else ():
            if local(element) in ("cm", "reply"):
                author = people.get(attribute(element, "authorId") or "", "")
                body = child(element, "text", "txBody")
                text = " ".join((words_of(body) or words(body)).split()) if body is not None else ""
                if text:
                    found.append(f"- {author}: {text}" if author else f"- {text}")
    return "### Comments\n\n" + "\n".join(found) + "\n\n" if found else ""
