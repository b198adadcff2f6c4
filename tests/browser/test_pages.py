"""The base of all pages, and that the audit finds what it is there to find."""

from __future__ import annotations

import pytest

from dashzoo_cards.html.pages import environment

pytestmark = pytest.mark.browser

PAGE = """{% extends "page.html.j2" %}
{% block title %}A page{% endblock %}
{% block header %}<p class="eyebrow">what</p><h1>{{ name }}</h1>{% endblock %}
{% block main %}{{ body | safe }}{% endblock %}
"""


def write(tmp_path, body="<h2>Head</h2><p class='soft'>text</p>", name="A page"):
    path = tmp_path / "page.html"
    path.write_text(environment("html").from_string(PAGE).render(name=name, body=body))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_an_empty_page_is_without_fault(open_page, tmp_path, width, scheme):
    body = "".join(
        f"<h2>{tone}</h2><p><span class='tag {tone}'>{tone}</span> <a href='#main'>link</a></p>"
        f"<svg role='img' viewBox='0 0 50 20'><title>t</title>"
        f"<text y='15' class='soft'>x</text></svg>"
        for tone in ("good", "bad", "ours")
    )
    page = open_page(write(tmp_path, body), width=width, scheme=scheme)
    assert page.console() == []
    assert page.requests() == []
    assert page.faults() == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p style='color:#999'>pale</p>", "contrast 2."),
        ("<p style='opacity:.4'>pale</p>", "contrast"),
        (
            "<svg role='img' viewBox='0 0 90 30'><title>t</title><rect width='90' height='30' "
            "fill='#222'/><text y='20' x='5'>x</text></svg>",
            "contrast",
        ),
        ("<svg viewBox='0 0 9 9'></svg>", "a drawing without"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "no alt"),
        ("<div style='width:2000px'>wide</div>", "px wide, the window"),
        ("<h4>deep</h4>", "skips a level"),
        ("<button></button>", "no name"),
        ("<input>", "no label"),
        ("<p id='a'></p><p id='a'></p>", "id twice"),
        ("<a href='#nowhere'>x</a>", "leads nowhere"),
        ("<p style='font-size:7px'>small</p>", "text of 7.0 px"),
    ],
)
def test_the_audit_finds(open_page, tmp_path, body, fault):
    page = open_page(write(tmp_path, body))
    assert any(fault in told for told in page.faults()), page.faults()


def test_a_page_runs_and_loads_nothing_foreign(open_page, tmp_path):
    body = (
        "<script>document.title = 'taken'</script><img alt='' src='http://example.org/x.png' "
        "onerror=\"document.title = 'taken'\">"
    )
    page = open_page(write(tmp_path, body))
    assert page.evaluate("document.title") == "A page"
    assert "Content Security Policy" in " ".join(page.console())
