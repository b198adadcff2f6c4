"""Names lead to the shelf, then to folders, then to the Hub; lists go by wildcards."""

from __future__ import annotations

import json
import logging
import shutil

import pytest

import dashzoo
from dashzoo.catalogue import Entry, catalogue, find
from dashzoo_search.errors import BadBundle, UnknownModel


@pytest.fixture
def shelf(tmp_path, monkeypatch, made_bundle):
    """A shelf with two models, one of them damaged."""
    folder = tmp_path / "shelf"
    shutil.copytree(made_bundle, folder / "waves", ignore=shutil.ignore_patterns("search"))
    shutil.copytree(folder / "waves", folder / "wreck")
    (folder / "wreck" / "results.json").write_text("{}")
    (folder / "notes").mkdir()
    monkeypatch.setenv("DASHZOO_SHELF", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_no_shelf_is_an_empty_one(monkeypatch, tmp_path, command):
    monkeypatch.setenv("DASHZOO_SHELF", str(tmp_path / "none"))
    assert catalogue() == []
    assert "--remote asks the Hub too" in command("list").out
    assert command("list", "--json").json == []


class TestList:
    def test_the_shelf(self, shelf, made_bundle):
        waves, wreck = catalogue()
        results = json.loads((made_bundle / "results.json").read_text())
        shipped = (results.get("selection") or {"shipped": "searched"})["shipped"]
        assert waves == Entry(
            name="waves",
            where="shelf",
            task=results["task"]["name"],
            kind="classification",
            dims=1,
            channels=2,
            size=(30,),
            metric="accuracy",
            value=results["metrics"][shipped]["test"]["value"],
            percent=True,
            default=results["metrics"]["default"]["test"]["value"],
            parameters=results["metrics"][shipped]["parameters"],
        )
        assert wreck.fault

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("wa*", ["waves", "acme/waves-two"]),
            ("acme/*", ["acme/waves-two"]),
            ("*/wreck", []),
            ("w?eck", ["wreck"]),
            ("[!w]*", ["acme/waves-two"]),
            ("none", []),
        ],
    )
    def test_by_wildcards(self, hub, shelf, made_bundle, pattern, names):
        dashzoo.publish(made_bundle, "acme/waves-two")
        assert [entry.name for entry in catalogue(pattern, remote=True)] == names

    def test_the_hub_by_tag(self, hub, made_bundle, command):
        from .server.git import Blob, Repository

        done = dashzoo.publish(made_bundle, "acme/waves")
        other = hub.repositories["acme/other"] = Repository("acme/other")
        card = Blob.regular(b"---\nlicense: mit\ntags: [cats]\n---\n")
        other.commit("refs/heads/main", "x", "", {"README.md": card})
        (row,) = command("list", "--remote", "--json").json
        assert (row["name"], row["commit"]) == ("acme/waves", done.commit)
        (metrics,) = [json.loads((made_bundle / "results.json").read_text())["metrics"]]
        assert row["value"] in [m["test"]["value"] for m in metrics.values() if m]
        assert "acme/waves" in command("list", "--remote").out

    def test_a_card_that_tells_nothing(self, hub):
        from .server.git import Blob, Repository

        found = hub.repositories["acme/bare"] = Repository("acme/bare")
        card = Blob.regular(b"---\nlicense: mit\ntags: [dashzoo]\n---\n")
        found.commit("refs/heads/main", "x", "", {"README.md": card})
        (entry,) = catalogue(remote=True)
        assert (entry.name, entry.task, entry.value) == ("acme/bare", None, None)


class TestFind:
    def test_the_shelf_comes_first_and_says_so(self, shelf, made_bundle, caplog):
        shutil.copytree(made_bundle, shelf.parent / "waves")
        with caplog.at_level(logging.INFO, "dashzoo.catalogue"):
            assert find("waves").folder == shelf / "waves"
            assert find("./waves").where == "folder"
            assert find(shelf.parent / "waves").where == "folder"
        assert [record.getMessage() for record in caplog.records][:2] == [
            "Taking waves, from the shelf",
            "Taking ./waves, a folder",
        ]

    def test_a_folder_comes_before_the_hub(self, hub, shelf, made_bundle):
        shutil.copytree(made_bundle, shelf.parent / "acme" / "waves")
        dashzoo.publish(made_bundle, "hf-hub:acme/waves")
        before = len(hub.exchanges)
        assert find("acme/waves").where == "folder"
        assert len(hub.exchanges) == before
        assert find("hf-hub:acme/waves").where == "hub"
        assert find("acme/waves@main").where == "hub"

    def test_show_says_which_it_took(self, shelf, hub, made_bundle, command):
        assert command("show", "waves").out.startswith("waves, from the shelf.\n")
        done = dashzoo.publish(made_bundle, "acme/waves")
        out = command("show", "acme/waves").out
        assert out.startswith(f"acme/waves, from the Hub at {done.commit[:12]}.\n")
        assert out.endswith("The bundle is whole.\n")

    @pytest.mark.parametrize("name", ["nothing", "a/b/c", "waves@v1", "a b/c", "acme/x@"])
    def test_what_is_no_name(self, shelf, name):
        with pytest.raises(UnknownModel, match="dashzoo list"):
            find(name)

    @pytest.mark.parametrize("name", ["./nothing", "/nothing", "../acme/x", "~/nothing-there"])
    def test_a_path_is_never_looked_for_elsewhere(self, hub, shelf, name):
        with pytest.raises(BadBundle, match="is no folder"):
            find(name)
        assert hub.asked() == []
