"""The gallery's files: true to the facts, safe with what bundles say, and never over others'."""

from __future__ import annotations

import json
import re
import shutil
from xml.etree import ElementTree

import pytest

from dashzoo_cards.gallery.prose import card_html
from dashzoo_cards.gallery.site import write_gallery
from dashzoo_search.errors import BadBundle, BundleExists

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def copied(made, target):
    return shutil.copytree(made, target, ignore=shutil.ignore_patterns("search"))


@pytest.fixture
def shelf(tmp_path, made_bundle):
    folder = tmp_path / "shelf"
    for name in ("waves", "a<b>"):
        copied(made_bundle, folder / name)
    (folder / "wreck").mkdir()
    (folder / "wreck" / "config.json").write_text("{}")
    return folder


def bundles(shelf):
    return sorted(shelf.iterdir())


@pytest.fixture
def out(tmp_path):
    return tmp_path / "site"


class TestSite:
    def test_a_page_a_model_and_an_index(self, shelf, out, made_bundle):
        site = write_gallery(bundles(shelf), out, repos={"waves": "acme/waves"})
        assert site.models == ("a<b>", "waves")
        assert list(site.faults) == ["wreck"]
        there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
        assert there == set(site.files)
        assert {"index.html", "gallery.json", "waves/index.html", "a-b/index.html"} <= there
        kernels = out / "waves" / "figures" / "kernels.png"
        assert kernels.read_bytes() == (made_bundle / "figures" / "kernels.png").read_bytes()
        index = (out / "index.html").read_text()
        results = json.loads((made_bundle / "results.json").read_text())
        shipped = (results["selection"] or {"shipped": "searched"})["shipped"]
        outcome = results["metrics"][shipped]
        assert f"<strong>{outcome['test']['value']:.1%}</strong>" in index
        assert f"{outcome['parameters']:,}" in index
        assert "not measured" in index
        assert "<strong>wreck</strong>: results.json is missing" in index

    def test_lines_that_load(self, shelf, out):
        write_gallery(bundles(shelf), out, repos={"waves": "acme/waves"})
        page = (out / "waves" / "index.html").read_text()
        for wanted in (
            "dashzoo.load(&#34;acme/waves&#34;)",
            "hf-hub:acme/waves",
            "onnx/model.onnx",
        ):
            assert wanted in page
        page = (out / "a-b" / "index.html").read_text()
        assert "dashzoo.load(&#34;a&lt;b&gt;&#34;)" in page

    def test_kernels_as_a_picture_of_its_own(self, shelf, out):
        write_gallery(bundles(shelf), out)
        drawn = ElementTree.parse(out / "a-b" / "kernels.svg").getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert drawn.find("{*}title").text.startswith("Kernels of waves: ")
        style = drawn.find("{*}style").text
        looks = {mark.get("class") for mark in drawn} - {None}
        assert looks
        assert all(f"svg .{look} " in style for each in looks for look in each.split())
        assert "prefers-color-scheme: dark" in style

    def test_links_are_relative_and_lead_somewhere(self, shelf, out):
        write_gallery(bundles(shelf), out)
        for path in out.rglob("*.html"):
            for link in re.findall(r'(?:href|src)="([^"#]+)"', path.read_text()):
                if not link.startswith(("data:", "https://")):
                    assert (path.parent / link).is_file(), f"{path}: {link}"

    def test_a_bundle_that_was_altered_says_so(self, shelf, out):
        (shelf / "waves" / "README.md").write_text("# Mine\n\nAnother card.\n")
        write_gallery([shelf / "waves"], out)
        assert "not whole" in (out / "index.html").read_text()
        page = (out / "waves" / "index.html").read_text()
        assert "README.md has changed since" in page
        assert "<p>Another card.</p>" in page

    def test_without_a_card_it_is_written_anew(self, shelf, out):
        (shelf / "waves" / "README.md").unlink()
        write_gallery([shelf / "waves"], out)
        assert "<h2>Provenance</h2>" in (out / "waves" / "index.html").read_text()

    def test_images(self, made_image_bundle, out):
        write_gallery([made_image_bundle], out)
        assert "3 × 24 × 24, images" in (out / "index.html").read_text()

    def test_the_same_again(self, shelf, out, tmp_path):
        write_gallery(bundles(shelf), out)
        write_gallery(bundles(shelf), tmp_path / "again")
        for path in out.rglob("*"):
            if path.is_file():
                again = tmp_path / "again" / path.relative_to(out)
                assert again.read_bytes() == path.read_bytes()


class TestUntrusted:
    def test_what_a_bundle_says_stays_text(self, shelf, out):
        def change(results):
            results["name"] = results["task"]["name"] = results["task"]["source"] = EVIL
            results["backbone"]["name"] = results["objective"]["metric"]["name"] = EVIL
            results["task"]["classes"] = [EVIL, *results["task"]["classes"][1:]]
            for told in filter(None, results["metrics"].values()):
                for part in (told, *told.get("inits", {}).values()):
                    part["val"]["metric"] = part["test"]["metric"] = EVIL
            results["selection"] = None
            row = {"method": EVIL, "metric": EVIL, "value": 0.5, "source": EVIL}
            results["published"] = [row]

        edit(shelf / "waves" / "results.json", change)
        (shelf / "waves" / "README.md").write_text(f"# {EVIL}\n\n{EVIL}\n")
        write_gallery([shelf / "waves"], out)
        for path in out.rglob("*.html"):
            text = path.read_text()
            assert "<script>alert" not in text
            assert "<img src=x" not in text

    def test_only_pictures_are_copied(self, shelf, out, tmp_path):
        figures = shelf / "waves" / "figures"
        (figures / "page.png").write_text("<script>alert(1)</script>")
        (figures / "page.svg").write_text("<svg/>")
        (figures / "odd name.png").write_bytes((figures / "kernels.png").read_bytes())
        (tmp_path / "secret.png").write_bytes((figures / "kernels.png").read_bytes())
        (figures / "linked.png").symlink_to(tmp_path / "secret.png")
        write_gallery([shelf / "waves"], out)
        names = {path.name for path in (out / "waves" / "figures").iterdir()}
        assert "kernels.png" in names
        assert not names & {"page.png", "page.svg", "odd name.png", "linked.png"}

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
            ("![x](https://a.b/c.png)", "<p>x</p>\n"),
            ("![x](figures/other.png)", "<p>x</p>\n"),
            ("![x](figures/kernels.png)", '<p><img src="figures/kernels.png" alt="x"></p>\n'),
            ('!["><b>](figures/kernels.png)', None),
            ("<b onclick=x>", "<p>&lt;b onclick=x&gt;</p>\n"),
            ("---\na: b\n---\n\n# T\n\nx", "<p>x</p>\n"),
            ("# T\n\n# U", "<h2>U</h2>\n"),
            (
                "[x](https://a.b)",
                '<p><a href="https://a.b" rel="noopener noreferrer nofollow">x</a></p>\n',
            ),
        ],
    )
    def test_markdown(self, text, html):
        told = card_html(text, ["figures/kernels.png"])
        assert "<b>" not in told
        assert html is None or told == html


class TestFolder:
    def test_others_files_are_never_replaced(self, shelf, out):
        out.mkdir()
        (out / "index.html").write_text("mine")
        for force in (False, True):
            with pytest.raises(BundleExists, match="holds other files"):
                write_gallery(bundles(shelf), out, force=force)
        assert (out / "index.html").read_text() == "mine"

    def test_a_gallery_of_ours_only_with_force(self, shelf, out):
        write_gallery(bundles(shelf), out)
        (out / "CNAME").write_text("zoo.example.org")
        with pytest.raises(BundleExists, match="--force"):
            write_gallery(bundles(shelf), out)
        write_gallery([shelf / "waves"], out, force=True)
        assert not (out / "a-b").exists()
        assert (out / "CNAME").is_file()
        assert (out / "waves" / "index.html").is_file()

    def test_a_record_that_reaches_out_removes_nothing(self, shelf, out, tmp_path):
        write_gallery(bundles(shelf), out)
        (tmp_path / "precious").write_text("mine")
        edit(out / "gallery.json", lambda told: told["files"].append("../precious"))
        write_gallery(bundles(shelf), out, force=True)
        assert (tmp_path / "precious").is_file()

    def test_folders_of_one_name_each_get_their_own(self, made_bundle, tmp_path, out):
        paths = [copied(made_bundle, tmp_path / "shelf" / name) for name in ("a b", "a-b", "A.b")]
        write_gallery(paths, out)
        assert {p.parent.name for p in out.glob("*/index.html")} == {"a-b", "a-b-2", "A.b"}

    def test_nothing_to_show(self, shelf, out):
        with pytest.raises(BadBundle, match="nothing to show: results"):
            write_gallery([shelf / "wreck"], out)
        assert not out.exists()
