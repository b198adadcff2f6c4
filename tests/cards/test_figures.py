"""Figures: sane sizes, not blank, the same bytes twice, and text that stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dashzoo_cards.canvas import WIDTH, Canvas
from dashzoo_cards.facts import load_facts
from dashzoo_cards.figures import draw_alpha, draw_kernels, effective_choices, is_current
from dashzoo_cards.kernels1d import marks

BLUE = (0x00, 0x72, 0xB2)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("depth", [1, 9, 30])
def test_kernel_picture(make_bundle, tmp_path, dims, depth):
    facts = load_facts(make_bundle(dims=dims, depth=depth))
    path = draw_kernels(facts, tmp_path / "figures" / "kernels.png")
    image = pixels(path)
    assert 4_000 < path.stat().st_size < 150_000
    assert image.shape[1] == WIDTH
    assert 200 < image.shape[0] < 1300
    blue = np.abs(image - BLUE).sum(axis=2) < 12
    assert blue.sum() > 300  # more than the square in the legend
    margin = np.concatenate([image[:, :20], image[:, -20:]], axis=1)
    assert (margin == 255).all()
    assert is_current(facts, path)


@pytest.mark.parametrize("depth", [1, 9, 30])
def test_alpha_picture(make_bundle, tmp_path, depth):
    facts = load_facts(make_bundle(depth=depth, history=True))
    path = draw_alpha(facts, tmp_path / "alpha.png")
    image = pixels(path)
    assert 4_000 < path.stat().st_size < 150_000
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
    assert (image[:, :20] == 255).all()


def test_no_history_no_alpha_picture(make_bundle, tmp_path):
    def rename(results):
        for layer in results["layers"]:
            layer["name"] = f"other.{layer['name']}"

    facts = load_facts(make_bundle(history=True, change=rename))
    assert not facts.has_history
    with pytest.raises(ValueError, match="no search history"):
        draw_alpha(facts, tmp_path / "alpha.png")


def test_same_facts_same_bytes(make_bundle, tmp_path):
    facts = load_facts(make_bundle())
    first = draw_kernels(facts, tmp_path / "a.png").read_bytes()
    assert first == draw_kernels(facts, tmp_path / "b.png").read_bytes()
    assert b"Software" not in first


def test_more_layers_than_fit_and_hostile_names(make_bundle, tmp_path):
    def change(results):
        results["name"] = "$\\frac{1}$ 学习\n" + "x" * 400

    facts = load_facts(make_bundle(depth=70, change=change))
    image = pixels(draw_kernels(facts, tmp_path / "kernels.png"))
    assert image.shape[0] < 2000
    assert (image[:, -20:] == 255).all()


@pytest.mark.parametrize("dims", [1, 2])
def test_huge_kernels_stay_cheap(make_bundle, tmp_path, dims):
    def change(results):
        results["layers"][0].update(kernel=[4095] * dims, dilation=[4096] * dims)

    facts = load_facts(make_bundle(dims=dims, change=change))
    assert draw_kernels(facts, tmp_path / "kernels.png").stat().st_size < 150_000


def test_marks_are_symmetric_and_inside():
    for kernel, dilation, scale in [(7, 3, 5.0), (19, 15, 2.7), (1, 1, 30.0), (9, 1, 2.7)]:
        drawn = marks(kernel, dilation, scale, 12)
        reach = dilation * (kernel - 1) / 2 * scale
        assert len(drawn) in (1, kernel)
        assert abs(drawn[0][0] + drawn[-1][0] + drawn[-1][1]) <= 1
        assert abs(drawn[0][0]) <= reach + 7


def test_long_text_is_cut_to_its_room():
    canvas = Canvas(100)
    short = canvas.fit("stages.2." + "blocks." * 20 + "conv_dw", 200)
    assert canvas.width(short) <= 200
    assert short.startswith("stages")
    assert short.endswith("conv_dw")


def test_effective_choices():
    assert effective_choices([0.5, 0.5, 0.0]) == 2.0
