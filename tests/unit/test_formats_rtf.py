"""RTF as programs write it: what text, title, date and metadata come of it."""

from __future__ import annotations

import pytest

from headrace.errors import BadInput
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits, Parsed, TooMuch

JANUARY = 1769860800_000000  # 2026-01-31T12:00:00Z
MARCH = 1772366400_000000  # 2026-03-01T12:00:00Z
FONTS = (
    rb"{\fonttbl{\f0\froman\fcharset0\fprq2{\*\panose 02020603050405020304}Times New Roman{\*\falt Times};}"
    rb"{\f1\fcharset204 Arial Cyr;}{\f2\fcharset128 MS Mincho;}{\f3\fcharset134 SimSun;}{\f4\fcharset136 MingLiU;}"
    rb"{\f5\fcharset129 Batang;}{\f6\fcharset2 Symbol;}{\f7\fcharset2 Wingdings;}{\f8\cpg1250 Arial;}"
    rb"{\f9\fcharset178 Arial;}}"
)
STYLES = (
    rb"{\stylesheet{\ql\f0 \snext0 Normal;}{\s1\outlinelevel0\sbasedon0\snext0 heading 1;}"
    rb"{\s2\sbasedon0 heading 2,h2;}{\*\cs10 \additive Default Paragraph Font;}{\s15\sbasedon2 My own;}{\s16 Title;}}"
)


def read(body: bytes, head: bytes = b"") -> Parsed:
    """A body behind the fonts and styles above."""
    return parse("a_file.rtf", rb"{\rtf1\ansi\ansicpg1252\deff0" + FONTS + STYLES + head + body + b"}")


def text(body: bytes) -> str:
    return read(body).text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rb"\f0 Gr\'fc\'dfe", "Grüße"),
        (rb"Gr\u252?\u223\'dfe {\uc0\u252 }{\uc2\u12354\'82\'a0.}", "Grüße üあ."),
        (rb"\f1 \'cf\'f0\'e8\'e2\'e5\'f2", "Привет"),
        (b"\\f2 \\'93\\'fa\\'96\\'7b \\'83\r\n\\'5c \\'83\\\\", "日本 ソ ソ"),
        (rb"\f3 \'d6\'d0\'ce\'c4", "中文"),
        (rb"\f4 \'a4\'a4\'a4\'e5", "中文"),
        (rb"\f5 \'c7\'d1\'b1\'db", "한글"),
        (rb"\f6 \'b7 a \'a3 b \u-3987?{\f7 \'fe}", "• α ≤ β μ☑"),
        (rb"\f8 \'f8", "ř"),
        (rb"{\ltrch\f0 e \rtlch\af9 \'c7}{\rtlch\af9 \ltrch \'e9}", "e اé"),
        (rb"\u-10179?\u-8704? {\u-10179?}{\u56832?} \u128512? \u-10179?x\u56832?", "😀 😀 😀 \ufffdx\ufffd"),
        (rb"\u8217\par b \u8217\rquote c", "’\n\nb ’c"),
        (rb"a\tab b\~c\_d\-e \{\}\\", "a\tb\u00a0c-de {}\\"),
        (rb"\emdash\endash\lquote\rquote\ldblquote\rdblquote\bullet", "—–‘’“”•"),
        (rb"a\line b\page c\sect d", "a\nb\n\nc\n\nd"),
        (rb"a\bin5 {\x}}b\'zz\'c", "abzzc"),
        (rb"a{\v hidden}{\deleted gone}{\v\v0 b} \v c\par\plain d", "ab d"),
        (rb"a{\*\new b}{\*\bkmkstart c}{\xe {\v d}}{\nonshppict{\pict e}}{\unknown f}{\pict\pngblip 89504e}", "af"),
        (rb"a {\upr{b}{\*\ud{c}}} d", "a c d"),
        ("Grüße \\'fc".encode(), "Grüße ü"),
        ("Grüße \\'fc".encode("cp1252"), "Grüße ü"),
    ],
)  # fmt: skip
def test_characters_are_those_of_their_font(body: bytes, said: str) -> None:
    assert text(body) == said


def test_headings_are_told_by_their_style_or_level() -> None:
    body = (
        rb"\pard\plain\s16 The \b title\par\pard\plain \s1\outlinelevel0 {\listtext\plain 1.\tab}First\line line\par"
        rb"\pard\plain \s2 Second\par\pard\plain\s15 Mine\par\pard\plain\outlinelevel2 Third\par"
        rb"\pard\plain\outlinelevel9 Text\par{\pard\outlinelevel0 Again\par}\pard\s0 Text\par"
    )

    parsed = read(body)

    assert parsed.text == (
        "# The title\n\n# 1. First line\n\n## Second\n\n## Mine\n\n### Third\n\nText\n\n# Again\n\nText"
    )
    assert (parsed.title, parsed.markdown) == ("The title", True)
    assert text(rb"{\header \s1 Ours\par}Text") == "# Ours\n\nText"
    assert read(rb"{\header \s1 Ours\par}Text").title == "a file"


def test_lists_have_their_marks() -> None:
    body = (
        rb"{\listtext\pard\plain\f6 \'b7\tab}\ls1\ilvl0 one\par{\listtext\pard\plain o\tab}\ilvl1 inner\par"
        rb"\pard{\pntext 2)\tab}{\*\pn\pnlvlbody{\pntxta )}}two\par\pard \ls2 three\par\pard text\par"
        rb"\pard\li360\fi-360 \bullet\tab four\par a.\tab five\par - six\par{\listtext Chapter 1\tab}\ls0 seven\par"
    )

    assert text(body) == (
        "- one\n\n  - inner\n\n2) two\n\n- three\n\ntext\n\n- four\n\na. five\n\n- six\n\nChapter 1 seven"
    )


def test_tables_are_rows_with_cells_below_their_column() -> None:
    body = (
        rb"\trowd\cellx1000\cellx2000\cellx3000\pard\intbl kind\cell fee\cell note\cell\row"
        rb"\trowd\cellx2010\cellx3000\pard\intbl \s1 wide\par and more\cell a|b\cell\row"
        rb"\trowd\cellx1000\cellx2000\cellx3000\pard\intbl x\cell\cell"
        rb"{\pard\intbl\itap2 in\nestcell ner\nestcell{\*\nesttableprops\trowd\cellx9\nestrow}"
        rb"{\nonesttables\par}}y\cell"
        rb"{\trowd\cellx1000\cellx2000\cellx3000\row}"
        rb"\trowd\cellx1000\cellx2000\cellx3000\pard\intbl\cell\cell\cell\row\pard after\par"
        rb"\trowd\cellx1\pard\intbl alone"
    )

    assert text(body) == (
        "| kind | fee | note |\n| --- | --- | --- |\n| wide and more |  | a\\|b |\n| x |  | in ner y |\n\n"
        "after\n\n| alone |\n| --- |"
    )


def test_fields_are_their_results_and_links() -> None:
    link = rb"{\field{\*\fldinst { HYPERLINK %s }}{\fldrslt {\ul %s}}}"
    body = b" ".join(
        [
            b"See",
            link % (rb'"https://example.com/a b" \\l "top" \\t "_blank"', b"the fees "),
            link % (rb'\\o "Tip" "https://example.com/"', b"https://example.com/"),
            link % (rb'\\l "here"', b"here"),
            link % (b"mailto:a@example.com", b"x" + link % (b'"https://inner"', b"y")),
            rb"{\field{\*\fldinst PAGE}{\fldrslt 7}}",
            rb'{\field{\*\fldinst SYMBOL 183 \\f "Symbol" \\s 10}{\fldrslt\f6\fs20}}',
            link % (b'"https://two"', rb"a\par b"),
        ]
    )

    assert text(body) == (
        "See [the fees](https://example.com/a%20b#top)  https://example.com/ here [xy](mailto:a@example.com) 7 • a\n\nb"
    )


def test_notes_and_comments_come_at_the_end() -> None:
    body = (
        rb"{\header Ours\par}{\headerf Ours\par}{\footer Page {\field{\*\fldinst PAGE}{\fldrslt 1}}\par}"
        rb"\trowd\cellx9\intbl\s1 A{\super\chftn}{\footnote\pard\plain{\super\chftn} One\par more}B\cell\row\pard"
        rb" C{\footnote\ftnalt\chftn  Two{\footnote Three}}{\v{\footnote hidden}}"
        rb"{\*\atnid AL}{\*\atnauthor Ada L.}\chatn{\*\annotation{\*\atnref 1}{\*\atndate 1234}\pard Check # this}"
        rb"{\*\annotation Nobody's}\par"
    )

    assert text(body) == (
        "Ours\n\n| AB |\n| --- |\n\nC\n\nPage 1\n\n- One more\n- Three\n\n- Two\n\n- Ada L.: Check # this\n- Nobody's"
    )


def test_drawings_are_their_words() -> None:
    shape = (
        rb"{\shp{\*\shpinst\shpleft0{\sp{\sn wzDescription}{\sv A  red bag}}{\sp{\sn pib}{\sv {\pict 89504e}}}"
        rb"{\shptxt \pard In the box\par}}{\shprslt{\*\do{\dptxbxtext In the box}}}}"
    )
    picture = rb"{\*\shppict{\pict{\*\picprop{\sp{\sn wzDescription}{\sv Plan}}}\pngblip 89504e}}"

    assert text(b"a" + shape + rb" b\par c" + picture + rb"{\object\objemb{\*\objdata 0105}{\result d}}\par") == (
        "a![A red bag](data:image;base64...) b\n\nIn the box\n\nc![Plan](data:image;base64...)d"
    )
    assert text(rb"{\*\do\dpx0{\dptxbxtext Old}}") == "Old"
    assert text(rb"{\mmath{\*\moMath{\mf{\mfPr{\*\mctrlPr}}{\mnum{\mr a}}{\mden{\mr b}}}}}") == "ab"


def test_what_a_document_states_of_itself_is_kept() -> None:
    info = (
        rb"{\info{\title Rules \{7\} f\'fcr \u8470?\~1}{\*\unknown x}{\subject Bags}{\author Ada}{\operator Bob}"
        rb"{\keywords red, green}{\doccomm Long}{\creatim\yr2026\mo1\dy31\hr12}{\revtim\yr2026\mo3\dy1\hr12\min0\sec0}"
        rb"{\*\company ACME}{\nofpages3}}{\*\userprops{\propname Fee}\proptype5{\staticval 12.5}"
        rb"{\propname Free}\proptype11{\staticval 0}{\propname Kind}\proptype30{\staticval red}}"
    )

    parsed = read(b"text", info)

    assert (parsed.title, parsed.text, parsed.dated) == ("Rules {7} für № 1", "text", MARCH)
    assert parsed.metadata == {
        "author": "Ada", "company": "ACME", "created": "2026-01-31T12:00:00Z", "description": "Long", "fee": 12.5,
        "free": False, "keywords": ("red", "green"), "kind": "red", "last_modified_by": "Bob",
        "modified": "2026-03-01T12:00:00Z", "subject": "Bags", "title": "Rules {7} für № 1",
    }  # fmt: skip
    assert read(b"text", rb"{\info{\creatim\yr2026\mo1\dy31\hr12}{\revtim\yr0\mo0\dy0}}").dated == JANUARY


def test_wordpad_and_textedit_write_it_in_their_way() -> None:
    wordpad = (
        b"{\\rtf1\\ansi\\ansicpg1252\\deff0\\nouicompat\\deflang1031{\\fonttbl{\\f0\\fnil\\fcharset0 Calibri;}"
        b"{\\f1\\fnil\\fcharset2 Symbol;}}\r\n{\\*\\generator Riched20 10.0.19041}\\viewkind4\\uc1 \r\n"
        b"\\pard\\sa200\\sl276\\slmult1\\b\\f0\\fs22\\lang7 Gr\\'fc\\'dfe\\b0\\par\r\n\r\n"
        b"\\pard{\\pntext\\f1\\'B7\\tab}{\\*\\pn\\pnlvlblt\\pnf1\\pnindent0{\\pntxtb\\'B7}}\\fi-360\\li720 one\\par\r\n"
        b"{\\pntext\\f1\\'B7\\tab}two\\par\r\n}\r\n\0"
    )
    textedit = (
        b"{\\rtf1\\ansi\\ansicpg1252\\cocoartf2709\n\\cocoatextscaling0{\\fonttbl\\f0\\fswiss\\fcharset0 Helvetica;"
        b"\\f1\\fnil\\fcharset128 HiraginoSans-W3;}\n{\\colortbl;\\red255\\green255\\blue255;}\n"
        b"{\\*\\expandedcolortbl;;}\n{\\info\n{\\title Gr\\'fc\\'dfe}}\\margl1440\n\\pard\\tx566\\pardirnatural"
        b"\\partightenfactor0\n\n\\f0\\fs24 Caf\\'e9 \\'93x\\'94\\\n\\f1 \\'93\\'fa\\'96\\'7b\\f0 \\uc0\\u8364 5\\\n"
        b"\\pard\\tx220\\ls1\\ilvl0\\cf0 {\\listtext\t\\uc0\\u8226 \t}one\\\n{\\listtext\t2.\t}two\\\n}"
    )

    assert parse("a", wordpad).text == "Grüße\n\n- one\n\n- two"
    assert parse("a", textedit).text == "Café “x”\n\n日本€5\n\n- one\n\n2. two"
    assert parse("a", textedit).title == "Grüße"


def test_word_and_libreoffice_write_it_in_their_way() -> None:
    word = (
        rb"{\rtf1\adeflang1025\ansi\ansicpg932\uc2\adeff0\deff0{\fonttbl{\f0\fbidi \froman\fcharset0 Times;}"
        rb"{\f11\fbidi \froman\fcharset128\fprq1{\*\panose 02020609040205080304}MS Mincho{\*\falt \'82\'6c};}"
        rb"{\flomajor\f31500\fbidi \fcharset0 Cambria;}}{\*\defchp \f11}{\*\listtable{\list{\listname A;}}}"
        rb"{\stylesheet{\s3\keepn\outlinelevel2 \sbasedon0 \snext0 \slink15 \sqformat heading 3;}}"
        rb"{\*\rsidtbl \rsid1}{\mmathPr\mmathFont34}\ltrpar \sectd {\*\pnseclvl1\pnucrm{\pntxta .}}"
        rb"\pard\plain \ltrpar\s3\outlinelevel2 \rtlch\fcs1 \af0 \ltrch\fcs0 \f0\fs24 {\rtlch\fcs1 \af0 \ltrch\fcs0 "
        rb"\loch\af0\hich\af0\dbch\f11 \'82\'a0}{\rtlch\fcs1 \af0 \ltrch\fcs0 \f0 \hich\f0 \rquote \loch\f0 A\par }"
        b"\r\n"
        rb"\pard\plain \trowd \irow0\lastrow \cellx100\pard\plain \intbl{\f0 x\cell }\pard{\trowd\cellx100\row}"
        rb"\pard \ltrpar {\field{\*\fldinst {\f0 HYPERLINK \'22https://b\'22}{\*\datafield 00d0}}{\fldrslt {b}}}"
        rb"{\*\themedata 504b}{\*\latentstyles{\lsdlockedexcept Normal;}}}"
    )
    office = (
        b"{\\rtf1\\ansi\\deff3{\\fonttbl{\\f3\\froman\\fcharset0 Liberation;}}{\\stylesheet{\\s0\\snext0 Normal;}\n"
        b"{\\s1\\sbasedon15\\snext16\\outlinelevel0 Heading 1;}{\\s15\\snext16 Heading;}}{\\*\\generator LibreOffice}"
        b"{\\*\\pgdsctbl\n{\\pgdsc0 Default;}}\\sectd\\pgndec\\pard\\plain \\s1{\\listtext\\pard\\plain \\tab}"
        b"\\ilvl0\\ls1{\\rtlch \\ltrch\\loch\nBags}\n\\par \\pard\\plain {\\listtext\\pard\\plain \\'95\\tab}\\ls2 one"
        b"{{\\super \\chftn}{\\*\\footnote\\pard\\plain \\chftn\\tab Note}}\n\\par }"
    )

    assert parse("a", word).text == "### あ’A\n\n| x |\n| --- |\n\n[b](https://b)"
    assert parse("a", office).text == "# Bags\n\n- one\n\n- Note"


def test_a_mail_s_html_inside_is_not_read_twice() -> None:
    body = (
        rb"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0\fswiss Arial;}}{\*\htmltag19 <html>}"
        rb"{\*\htmltag50 <body>}{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Dear \htmlrtf {\b \htmlrtf0 Ada\htmlrtf }"
        rb"\htmlrtf0{\*\htmltag84 &nbsp;}\htmlrtf \~\htmlrtf0 !\htmlrtf\par}\htmlrtf0{\*\htmltag72 </p>}"
        rb'{\*\htmltag84 <a href="https://example.com/">}\htmlrtf {\field{\*\fldinst{HYPERLINK "https://example.com/"}}'
        rb"{\fldrslt\cf1\ul \htmlrtf0 here\htmlrtf }\htmlrtf0 \htmlrtf }\htmlrtf0{\*\htmltag92 </a>}}"
    )

    assert parse("a", body).text == "Dear Ada\u00a0!\n\n[here](https://example.com/)"


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    assert text(rb"a{\footnote note\par{\b more") == "a\n\n- note more"
    assert text(rb"a}b") == "a"
    assert parse("a", rb"{\rtf1 a{\pict\bin99999 89").text == "a"
    assert parse("a", rb"{\rtf1{\*\unknown a").text == ""


def test_what_costs_too_much_is_refused() -> None:
    wide = rb"\trowd" + b"".join(rb"\cellx%d" % n for n in range(64)) + rb"\intbl" + rb"a\cell" * 64 + rb"\row"
    narrow = rb"\trowd\cellx63\intbl a\cell\row" * 1000

    for body in (b"{" * 20_000, rb"{\footnote " * 20_000):
        with pytest.raises(BadInput, match="groups"):
            text(body)
    for body in (b"a" * 1001, rb"\emdash" * 1001, wide + narrow):
        with pytest.raises(TooMuch):
            parse("a", rb"{\rtf1 " + body, Limits(characters=1000))
