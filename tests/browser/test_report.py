"""The report of real runs in a real browser: nothing refused, everything legible."""

from __future__ import annotations

import json

import pytest

from dashzoo.steps.report import report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def reports(made_bundle, made_image_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    bundles = {"sequences": made_bundle, "images": made_image_bundle}
    return {name: report(bundle, folder / f"{name}.html") for name, bundle in bundles.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("run", ["sequences", "images"])
def test_a_report_is_without_fault(open_page, reports, run, width, scheme):
    page = open_page(reports[run], width=width, scheme=scheme)
    assert page.console() == []
    assert page.requests() == []
    assert page.faults() == []
    page.open_details()
    assert page.faults() == []


def test_it_holds_every_section_and_reads_without_scripts(open_page, reports):
    page = open_page(reports["sequences"], script=False)
    heads = page.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert heads == [
        "The data",
        "Kernel atlas",
        "How far it sees",
        "How the search settled",
        "Learning curves",
        "Where it errs",
        "Baselines",
        "Certificate",
        "Latency",
        "The run",
    ]
    assert page.evaluate("document.scripts.length") == 0
    assert "sealed" in page.evaluate("document.querySelector('header').textContent")


def test_pictures_are_drawn_where_they_stand(open_page, reports):
    page = open_page(reports["images"])
    sizes = page.evaluate(
        "[...document.querySelectorAll('main svg')].map(s => s.getBoundingClientRect())"
        ".map(r => [r.width, r.height])"
    )
    assert len(sizes) > 10
    assert all(width > 40 and height > 15 for width, height in sizes)
    inked = page.evaluate(
        "[...document.querySelectorAll('.atlas path.ours')].every(p => p.getBBox().width > 0 && "
        "getComputedStyle(p).fill !== 'none')"
    )
    assert inked


NAMES = [
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">",
    "</title></svg></style>\"' onload=\"document.title = 'taken'\" x='",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3,
    "日本語 العربية 𝔘𝔫𝔦 \u202e",
]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_does_and_breaks_nothing(open_page, bundle, tmp_path, name, width):
    results = json.loads((bundle / "results.json").read_text())
    results["name"] = name
    results["task"] |= {"name": name, "source": name}
    results["task"]["classes"] = [f"{n} {name}" for n in range(3)]
    results["curves"][0]["stage"] = name
    results["published"] = [{"method": name, "metric": "accuracy", "value": 0.5, "source": name}]
    (bundle / "results.json").write_text(json.dumps(results))
    page = open_page(report(bundle, tmp_path / "hostile.html"), width=width).open_details()
    assert page.console() == []
    assert page.requests() == []
    assert page.faults() == []
    assert page.evaluate("document.title") != "taken"
    assert page.evaluate("document.querySelectorAll('script, img').length") == 0
    assert "not whole" in page.evaluate("document.querySelector('header').textContent")
