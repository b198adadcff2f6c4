"""Drawings and prose of a page: nothing unescaped, nothing off the paper."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from dashzoo_cards.html.drawing import Drawing, Series, line_chart, ticks
from dashzoo_cards.html.pages import environment
from dashzoo_cards.html.prose import prose
from dashzoo_cards.markdown import Markdown, plain

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(low=NUMBERS, span=st.floats(1e-3, 1e9), count=st.integers(1, 9))
def test_ticks_hold_the_range_between_them(low, span, count):
    high = low + span
    if not high - low > 1e-9 * abs(low):
        return
    marks = ticks(low, high, count)
    step = marks[1] - marks[0]
    assert marks == sorted(marks)
    assert marks[0] <= low + 1e-6 * step
    assert marks[-1] >= high - 1e-6 * step
    assert len(marks) <= count + 3


@given(st.lists(st.one_of(NUMBERS, st.just(math.nan)), max_size=50), st.booleans())
def test_every_point_of_a_chart_is_on_the_paper(values, floored):
    series = [Series(name="a", values=values, look="ours")]
    chart = line_chart(series, title="t", x_label="epoch", floor=0 if floored else None)
    (path,) = [e.get("d") for e in drawn(chart, "path")] or [""]
    points = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)
    assert len(points) == sum(map(math.isfinite, values))
    for x, y in points:
        assert 0 <= float(x) <= chart.width
        assert 0 <= float(y) <= chart.height


def test_a_gap_breaks_the_line_and_many_points_are_thinned():
    gap = [1.0, 2.0, math.nan, 3.0, 2.0]
    chart = line_chart([Series(name="a", values=gap, look="ours")], title="t", x_label="x")
    assert drawn(chart, "path")[0].get("d").count("M") == 2
    long = [Series(name="a", values=[float(n) for n in range(5000)], look="ours")]
    path = drawn(line_chart(long, title="t", x_label="x"), "path")[0].get("d")
    assert path.count("L") <= 240


@pytest.mark.parametrize("text", ["</title><script>x</script>", 'a" onload="x', "ü < ∞ & 'é'"])
def test_text_stays_text(text):
    drawing = Drawing(9, 9, title=text)
    drawing.add("text", text, x=1, class_=text)
    root = ElementTree.fromstring(Markup(drawing))
    assert [child.tag for child in root] == ["title", "text"]
    assert root[0].text == root[1].text == root[1].get("class") == text


@pytest.mark.parametrize("name", ["a_b*c*", "`x` <b>", "**", "\\", "a|b#c", "&lt;i&gt;", "[x](y)"])
def test_prose_undoes_what_markdown_escapes(name):
    page = (
        environment("html").from_string("{{ x }}").render(x=prose(Markdown(f"**{plain(name)}**")))
    )
    (strong,) = ElementTree.fromstring(f"<p>{page}</p>")
    assert strong.tag == "strong"
    assert "".join(strong.itertext()) == name


def test_prose_lets_no_tag_through():
    assert "<script" not in prose(Markdown("<script>x</script> `<b>` **<i>**"))


def drawn(drawing: Drawing, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(Markup(drawing)).iter(tag))
