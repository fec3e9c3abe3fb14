"""A page as Markdown: code, tables, lists, formulas, and what is not a part of its text."""

from __future__ import annotations

import pytest

from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.parse import parse
from tests import documents as make


def text(page: str) -> str:
    return of_text(page).text


def outline(page: str) -> list[tuple[int, str]]:
    return [(level, words) for _, level, words in headings(text(page))]


def test_code_stays_as_it_is_and_its_comments_are_no_headings() -> None:
    page = (
        '<h1>Run</h1><div class="highlight-python3"><div class="highlight"><pre>\n# comment\r\n\r\ndef f():\n\n\n'
        "\t<b>return</b>&nbsp;1<br>x  =  2\n\n</pre></div></div><h2>Then</h2><pre></pre><p>end"
    )

    assert text(page) == ("# Run\n\n```python3\n# comment\n\ndef f():\n\n\n\treturn 1\nx  =  2\n```\n\n## Then\n\nend")
    assert outline(page) == [(1, "Run"), (2, "Then")]


@pytest.mark.parametrize(
    ("markup", "language"),
    [
        ('<pre class="sourceCode python"><code class="sourceCode python">', "python"),
        ('<pre><code class="hljs language-C++">', "c++"),
        ('<div class="highlight highlight-source-shell"><pre>', "shell"),
        ('<pre class="brush: java; gutter: true">', "java"),
        ('<div class="highlight-default notranslate"><pre>', ""),
        ('<pre class="wide">', ""),
    ],
)
def test_code_names_its_language(markup: str, language: str) -> None:
    assert text(markup + "x") == f"```{language}\nx\n```"


def test_a_fence_is_longer_than_any_in_its_code() -> None:
    assert text("<pre>```\nx\n```</pre><h1>H</h1>") == "````\n```\nx\n```\n````\n\n# H"


def test_numbers_of_lines_are_no_code() -> None:
    page = (
        '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2</pre></div></td>'
        '<td class="code"><div><pre><span class="lineno">1 </span>a\n  b</pre></div></td></tr></table>'
    )

    assert text(page) == "```\na\n  b\n```"


def test_code_in_items_and_quotations_is_fenced_where_it_stands() -> None:
    page = (
        "<ul><li>one<pre># a\n\n  b</pre><li><pre># c</pre></ul>"
        "<blockquote><pre># d\n\ne</pre></blockquote><ol><li>x<ol><li><pre># f\n==</pre></ol></ol><h1>H</h1>"
    )

    assert text(page) == (
        "- one\n\n  ```\n  # a\n\n    b\n  ```\n\n-\n  ```\n  # c\n  ```\n\n"
        "> ```\n> # d\n>\n> e\n> ```\n\n1. x\n\n  1.\n    ```\n    # f\n    ==\n    ```\n\n# H"
    )
    assert outline(page) == [(1, "H")]


def test_lists_keep_their_levels_and_numbers() -> None:
    page = (
        '<ol start="4"><li>four<ol type="a"><li>first<li>second</ol>'
        '<li value="9"><p>nine</p><ol type="I" start="3"><li>roman</ol></ol>'
        "<ul><li><div>tight</div><ul><li>deep<br>line</ul><li>next<ul><ul><li>deeper</ul></ul></ul>"
        "<ul><li><p>loose</p><p>more</p><li><p>last</p></ul><ol reversed><li>b<li>a</ol><ul><li></ul>end"
    )

    assert text(page) == (
        "4. four\n  a. first\n  b. second\n9. nine\n\n  III. roman\n\n"
        "- tight\n  - deep\n    line\n- next\n    - deeper\n\n"
        "- loose\n\n  more\n\n- last\n\n2. b\n1. a\n\nend"
    )


def test_items_with_headings_are_parts_of_the_page() -> None:
    page = "<ul><ul><li><ul><li><h3>Card</h3><p>text</ul></ul></ul><blockquote><h4>Quoted</h4>x</blockquote>"

    assert text(page) == "### Card\n\ntext\n\n#### Quoted\n\nx"
    assert outline(page) == [(3, "Card"), (4, "Quoted")]


def test_a_table_has_its_caption_groups_and_spans() -> None:
    page = (
        "<table><caption>Fees <b>of bags</b></caption><tfoot><tr><td>sum<td>3</tfoot>"
        "<thead><tr><th rowspan=2>kind<th colspan=2>fee<tr><th>low<th>high</thead>"
        "<tr><td rowspan=2>bag<td>1<td>2<tr><td hidden>no<td>3<td>4</table>"
    )

    assert text(page) == (
        "Fees of bags\n\n| kind | fee |  |\n| --- | --- | --- |\n| kind | low | high |\n| bag | 1 | 2 |\n"
        "| bag | 3 | 4 |\n| sum | 3 |  |"
    )


def test_cells_of_a_data_table_may_hold_blocks() -> None:
    page = (
        "<table><tr><th>a<th>b</tr><tr><td><p>one</p><p>two|</p><td>Of:<ul><li>x<li>y</ul>"
        "<tr><td><pre>k: 1\n  l: 2</pre><td>c<br>d<ol><li>e<li>f</ol></table>"
        "<table><tr><td><p>p</p><td>q<tr><td>r<td>s</table>"
    )

    assert text(page) == (
        "| a | b |\n| --- | --- |\n| one two\\| | Of: x; y |\n| k: 1 l: 2 | c d; 1. e; 2. f |\n\n"
        "| p | q |\n| --- | --- |\n| r | s |"
    )


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        ('<table role="presentation"><tr><td>a<td>b<tr><td>c<td>d</table>', "a\n\nb\n\nc\n\nd"),
        ("<table><tr><td>a<tr><td>b</table>", "a\n\nb"),
        ("<table><tr><td><h2>a</h2><td>b<tr><td>c<td>d</table>", "## a\n\nb\n\nc\n\nd"),
        (f"<table><tr><td><p>{'x' * 600}<td>b<tr><td>c<td>d</table>", "x" * 600 + "\n\nb\n\nc\n\nd"),
        (
            "<table><tr><td>a<td><table><tr><td>1<td>2<tr><td>3<td>4</table><tr><td>c<td>d</table>",
            "a\n\n| 1 | 2 |\n| --- | --- |\n| 3 | 4 |\n\nc\n\nd",
        ),
    ],
    ids=["role", "one column", "heading", "long", "nested"],
)
def test_a_table_that_lays_out_the_page_is_its_text(table: str, shown: str) -> None:
    assert text(table) == shown


def test_a_table_of_places_without_cells_is_no_grid() -> None:
    wide = "<table><tr>" + "<td>a" * 3000 + "<tr><td>b<td>c" * 3000 + "</table>"
    held = "<table><tr>" + "<td rowspan=65000>a" * 500 + "<tr>" * 30_000 + "<tr><td>b<td>c</table>"

    assert len(text(wide)) < len(wide)
    assert len(text(held)) < len(held)


def test_formulas_are_read_once() -> None:
    tex = '<semantics><mi>E</mi><annotation encoding="application/x-tex">E = mc^2</annotation></semantics>'
    page = (
        f'<p>A <math>{tex}</math>, <math alttext="a+b"><mi>a</mi></math>, <m:math><m:mi>x</m:mi></m:math>,'
        "<math><mfrac><mn>1</mn><mn>2</mn></mfrac><annotation-xml>no</annotation-xml></math>."
    )

    assert text(page) == "A E = mc^2, a+b, x,1/2."


def test_ways_back_and_links_to_itself_are_left_out() -> None:
    page = (
        '<h2>Fees<a class="headerlink" href="#fees">¶</a></h2><h2 id="c"><a href="#c">C#</a><br>now</h2><h3></h3>'
        '<h3><a class="anchor" href="#x">🔗</a>Bags</h3><p>Free.<sup><a href="#fn1">1</a></sup></p>'
        '<ol><li id="fn1"><p>Or not. <a href="#fnref1" role="doc-backlink">↩︎1</a></p></ol>'
    )

    assert text(page) == "## Fees\n\n## C# now\n\n### Bags\n\nFree.1\n\n1. Or not."


def test_words_are_not_cut_and_signs_are_not_words() -> None:
    page = (
        '<?xml version="1.0"?><HTML><BODY><P>Bunga<WBR>low so&shy;ft a&nbsp;b <q>quo</q> <ruby>漢<rp>(</rp><rt>kan</rt>'
        '<rp>)</rp></ruby> <i aria-hidden="true">menu</i> <a href="/x"> <img src="i.png" alt="pic"> </a>end</P>'
        "<dl><dt>Term<dd><p>Meaning</dl><details><summary>Sum</summary>Shown</details><template>no</template>"
        '<figure><img src="a" alt="Red  bag"><figcaption aria-hidden="true">Red bag</figcaption></figure></BODY></HTML>'
    )

    assert text(page) == (
        "Bungalow soft a b “quo” 漢(kan) [![pic](i.png)](/x) end\n\nTerm\nMeaning\n\nSum\nShown\n\n![Red bag](a)"
    )


def test_quotations_are_marked_in_each_line() -> None:
    page = "<blockquote><p>a<br>b</p><p>c</p><blockquote>d</blockquote></blockquote>e"

    assert text(page) == "> a\n> b\n>\n> c\n>\n> > d\n\ne"


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<nav>n</nav><article><h1>T</h1>x</article>beside<footer>f</footer>", "# T\n\nx\n\nbeside"),
        ("<nav>n</nav><article>x</article><article>y</article>", "n\n\nx\n\ny"),
        ("<p>p</p><div role=main><div role=navigation>n</div><main>x</main></div>", "x"),
        ("<nav>n</nav><main id=app></main><p>x", "x"),
        ("<frameset><frame src=a><noframes><body><p>no <b>frames</b></noframes></frameset>", "no frames"),
    ],
    ids=["article", "articles", "role", "empty", "frames"],
)
def test_the_main_part_is_read(page: str, shown: str) -> None:
    assert text(page) == shown


def test_nothing_is_lost_behind_elements_that_are_nested_deep() -> None:
    deep = "<div><ul><li><blockquote>" * 400

    assert text("<div>" * 1000 + "bottom" + "</div>" * 1000 + "<p>after") == "bottom\n\nafter"
    assert text("<p>" + "a<wbr>" * 5000 + "<p>after") == "a" * 5000 + "\n\nafter"
    assert text(deep + "bottom").endswith("> bottom")
    assert len(text(deep + "<br>x" * 1000)) < 40_000  # each line has a few marks before it


def test_code_of_a_chapter_is_code() -> None:
    book = make.epub(['<h1>One</h1><pre class="python">\n  # x\n</pre>'], title="t", date="")

    assert parse("a.epub", book).text == "# One\n\n```\n  # x\n```\n\n"


def test_headings_of_a_feed_s_entry_stand_below_its_own_and_its_code_is_kept() -> None:
    body = "&lt;h1&gt;Fees&lt;/h1&gt;&lt;pre&gt;# x\n  y&lt;/pre&gt;&lt;h2&gt;More&lt;/h2&gt;"
    feed = f"<rss><channel><item><title>One</title><description>{body}</description></item></channel></rss>"

    parsed = parse("a.xml", b'<?xml version="1.0"?>' + feed.encode())

    assert parsed.text == "## One\n\n### Fees\n\n```\n# x\n  y\n```\n\n#### More\n\n"
