"""The gallery in a browser: it filters, it can be linked to, and it is readable everywhere."""

from __future__ import annotations

import json
import shutil

import pytest

from dashzoo_cards.gallery.site import write_gallery

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(made_bundle, made_image_bundle, tmp_path_factory):
    """Three models: two of sequences, the larger one better; one of images."""
    shelf = tmp_path_factory.mktemp("shelf")
    for name, made, value, parameters in (
        ("big-waves", made_bundle, 0.97, 2_000_000),
        ("waves", made_bundle, 0.75, 5_000),
        ("halves", made_image_bundle, 0.9, 50_000),
    ):
        shutil.copytree(made, shelf / name, ignore=shutil.ignore_patterns("search"))
        path = shelf / name / "results.json"
        results = json.loads(path.read_text())
        results["selection"] = None
        results["metrics"]["searched"]["test"]["value"] = value
        results["metrics"]["searched"]["parameters"] = parameters
        path.write_text(json.dumps(results))
    out = tmp_path_factory.mktemp("site") / "gallery"
    write_gallery(sorted(shelf.iterdir()), out)
    return out


SHOWN = "[...document.querySelectorAll('.cards > li')].filter(li => !li.hidden)"
NAMES = f"{SHOWN}.map(li => li.querySelector('h2').textContent)"


def say(page, name, value):
    """Type into a field of the filter."""
    page.evaluate(
        f"(() => {{ const f = document.querySelector('form').elements['{name}'];"
        f"f.value = '{value}'; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["index.html", "waves/index.html", "halves/index.html"])
def test_readable(open_page, site, name, width, scheme):
    page = open_page(site / name, width=width, scheme=scheme).open_details()
    assert page.console() == []
    assert page.faults() == []
    here = page.evaluate("location.href").rpartition("/")[0]
    assert all(url.startswith(here) for url in page.requests())


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"q": "wav"}, ["big-waves", "waves"]),
        ({"q": "WAVES big"}, ["big-waves"]),
        ({"samples": "2"}, ["halves"]),
        ({"parameters": "100000"}, ["halves", "waves"]),
        ({"score": "90"}, ["big-waves", "halves"]),
        ({"score": "90", "parameters": "100000"}, ["halves"]),
        ({"sort": "parameters"}, ["waves", "halves", "big-waves"]),
        ({"q": "nothing at all"}, []),
    ],
)
def test_the_filter(open_page, site, said, names):
    page = open_page(site / "index.html")
    for field, value in said.items():
        say(page, field, value)
    assert page.evaluate(NAMES) == names
    count = page.evaluate("document.querySelector('output').textContent")
    assert count == ("3 models" if len(names) == 3 else f"{len(names)} of 3 models")
    assert page.evaluate("document.querySelector('.nothing').hidden") == bool(names)
    address = page.evaluate("location.hash")
    page = open_page(site / "waves" / "index.html")
    page.driver.get(f"{(site / 'index.html').as_uri()}{address}")  # the view has an address
    assert page.evaluate(NAMES) == names
    assert page.console() == []


def test_back_to_all(open_page, site):
    page = open_page(site / "index.html")
    say(page, "q", "halves")
    assert not page.evaluate("document.querySelector('.found button').hidden")
    page.evaluate("document.querySelector('.found button').click()")
    assert len(page.evaluate(NAMES)) == 3
    assert page.evaluate("location.hash") == ""


def test_an_address_that_makes_no_sense_shows_all(open_page, site):
    page = open_page(site / "index.html")
    page.evaluate("location.hash = '#kind=%22%3E%3Cscript%3E&samples=9&q=%20&other=1'")
    page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")
    assert len(page.evaluate(NAMES)) == 3
    assert page.console() == []


def test_without_script_it_is_a_plain_list(open_page, site):
    page = open_page(site / "index.html", script=False)
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert len(page.evaluate(NAMES)) == 3
    assert not page.evaluate("document.querySelector('form').checkVisibility()")
    assert page.evaluate("document.querySelectorAll('button:not([hidden])').length") == 0
    assert page.console() == []


def test_lines_are_copied(open_page, site):
    page = open_page(site / "waves" / "index.html")
    page.evaluate(
        "(() => { document.execCommand = (what) => { window.copied = what + ': ' + "
        "document.querySelector('textarea').value; return true; };"
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        "document.querySelector('button.copy').click(); })()"
    )
    assert page.evaluate("window.copied") == 'copy: import dashzoo\n\nnet = dashzoo.load("waves")'
    assert page.evaluate("document.querySelector('button.copy').textContent") == "Copied"
