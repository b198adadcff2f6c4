"""The card's commands are ones the command line takes, and make the bundle again."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields

import pytest

from dashzoo.cli.run import command as run_command
from dashzoo.cli.search import command as search_command
from dashzoo.cli.train import command as train_command
from dashzoo_cards.facts import load_facts
from dashzoo_cards.page import render_card
from dashzoo_cards.reproduce import commands
from dashzoo_search.errors import BadBundle
from dashzoo_search.methods.mixture import Mixture
from dashzoo_search.methods.paths import Paths
from dashzoo_search.methods.xd import XD
from dashzoo_search.search import SearchOptions, epochs_spent
from dashzoo_search.tasks import DataOptions
from dashzoo_search.training.recipe import Recipe


def words(shown):
    """What the shell makes of commands shown in a console."""
    return [
        shlex.split(line)[2:]
        for line in shown.replace("\\\n", " ").splitlines()
        if line.startswith("$ dashzoo ")
    ]


def edit(bundle, change):
    path = bundle / "results.json"
    results = json.loads(path.read_text())
    change(results)
    path.write_text(json.dumps(results))
    return load_facts(bundle)


def test_the_command_makes_the_same_network(made_bundle, sequence_file, tmp_path, command):
    card = (made_bundle / "README.md").read_text()
    shown = card.split("## Reproduce")[1].split("```console\n")[1].split("```")[0]
    (told,) = words(shown)
    assert told[:4] == ["run", "DATA", "--out", "waves"]
    told[1], told[3] = sequence_file, tmp_path / "waves"
    assert command(*told, "--threads", "1").code == 0
    for name in ("config.json", "model.safetensors", "onnx/model.onnx"):
        assert (tmp_path / "waves" / name).read_bytes() == (made_bundle / name).read_bytes()


def test_what_was_picked_by_hand_takes_four_commands(bundle):
    facts = edit(bundle, lambda results: results["search"].update(pick=1))
    search, train, export, card = words(commands(facts.asked, "waves"))
    assert (search[0], train[0], export, card) == (
        "search", "train", ["export", "waves"], ["card", "waves"],
    )  # fmt: skip
    params = search_command.make_context("search", search[1:]).params
    assert params["kernels"] == (3, 5)
    assert params["backbone_args"] == {"width": 4}
    assert (params["epochs"], params["seed"]) == (2, 3)
    params = train_command.make_context("train", train[1:]).params
    assert (params["pick"], params["epochs"]) == (1, 2)


@pytest.mark.parametrize(
    ("method", "how"),
    [
        ("paths", Paths(max_macs=10**6, price=0.5, price_on="params")),
        ("mixture", Mixture()),
        ("xd", XD(xd_depth=1, arch_optimizer="sgd")),
    ],
)
def test_every_option_of_a_method_has_a_flag(bundle, method, how):
    recipe = Recipe(epochs=7, batch_size=4)
    options = SearchOptions.of(recipe, method, heldout=0.25)
    told = {**options.to_json(), **how.to_json()}

    def change(results):
        kept = {name: results["search"][name] for name in ("seconds", "cpu_seconds", "scouted")}
        results["search"] = {**kept, **told, "epochs": epochs_spent(told), "alpha": None}
        results["backbone"].update(coords=True, exclude=["blocks.*.conv1"], input_norm="position")

    facts = edit(bundle, change)
    (run,) = words(commands(facts.asked, "waves"))
    at = run.index("--search-epochs")
    assert run[at + 1] == "7"
    flags = search_command.make_context("search", [run[1], "--out", "x", *run[4:at]]).params
    if method == "xd":
        assert (flags["operator"], flags["kernels"], flags["dilations"]) == ("xd", None, None)
        told.pop("method")
    for name, value in told.items():
        if name not in ("recipe", "warmup") and value is not None:  # one the library alone takes
            assert flags[name] == value, name
    assert flags["coords"] is True
    assert flags["exclude"] == ("blocks.*.conv1",)


def test_a_search_that_started_from_a_model_has_no_scout(bundle):
    def change(results):
        told = {"model": "gunpoint, from the shelf", "layers": 2, "of": 2, "saved_epochs": 4}
        results["search"].update(started=told, scout=0.0, epochs=2)

    facts = edit(bundle, change)
    (run,) = words(commands(facts.asked, "waves"))
    assert run[run.index("--start-from") + 1] == "gunpoint"
    assert "--scout" not in run
    assert facts.asked.search_epochs == 2
    assert "from the kernels of gunpoint, from the shelf" in render_card(facts)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 1.0, 2.5])
def test_a_scouts_epochs_are_taken_off(bundle, share):
    for epochs in range(1, 60):
        told = SearchOptions.of(Recipe(epochs=epochs, batch_size=1), scout=share).to_json()
        facts = edit(
            bundle,
            lambda results, told=told: results["search"].update(
                epochs=epochs_spent(told), scout=share
            ),
        )
        assert facts.asked.search_epochs == epochs


@pytest.mark.parametrize("name", ["$(rm -rf ~)", "a;b", "a`b`", "a'b", "<b>", "a\\b"])
def test_no_command_is_made_of_what_a_shell_would_read(bundle, name):
    def change(results):
        results["task"].update(name=name, source="somewhere")

    assert edit(bundle, change).asked is None


def test_what_was_said_of_the_data_is_said_again(bundle):
    said = DataOptions(
        kind="multilabel", target=("a", "b"), id="who", time="when", channels=2, lengths="resample",
        size=(7, 9), split_column="part", groups="patient", loss="bce", metric="map",
        positive_weight=2.5,
    )  # fmt: skip
    facts = edit(bundle, lambda results: results.update(data_options=said.to_json()))
    (run,) = words(commands(facts.asked, "waves"))
    flags = run_command.make_context("run", run[1:]).params
    given = {name: flags[name] for name in said.given()}
    assert DataOptions(**given) == said
    assert {*said.given(), "split"} == {field.name for field in fields(DataOptions)}


@pytest.mark.parametrize("said", [{"size": None}, {"size": [[3]]}, {"loss": {"a": 1}}, [1], "pad"])
def test_nothing_else_can_be_said_of_data(bundle, said):
    with pytest.raises(BadBundle, match="data_options"):
        edit(bundle, lambda results: results.update(data_options=said))


def test_no_other_flag_can_be_said_of_data(bundle):
    facts = edit(bundle, lambda results: results.update(data_options={"out": "/home", "size": 9}))
    assert "/home" not in commands(facts.asked, "waves")
