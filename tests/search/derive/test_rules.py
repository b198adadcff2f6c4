"""Rules: each finds a planted kernel where it can, states its prior, and tells what is lost."""

import copy

import numpy as np
import pytest
import torch

from dashzoo_search.derive import RULES, derive, settle
from dashzoo_search.derive.restriction import explained
from dashzoo_search.derive.rules import fewest_taps
from dashzoo_search.derive.validation import restrict_in_turn
from dashzoo_search.fold import fold
from dashzoo_search.methods.judge import batch_statistics
from dashzoo_search.networks import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import Choice, SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks import Split

SPACE = SearchSpace(kernels=(3, 5, 7), dilations=(1, 2, 4))
FIRST = "blocks.0.conv1"


def sequence_supernet(space=SPACE, size=(40,), weights="separate"):
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args={"width": 4})
    return build_supernet(net, space, size, weights=weights)


def shake(supernet):
    """Random α and batch statistics, as training leaves them."""
    for module in supernet.modules():
        if isinstance(module, AggConv):
            module.alpha.data.normal_()
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return supernet.eval()


def split(n=24, seed=0):
    rng = np.random.default_rng(seed)
    return Split(rng.standard_normal((n, 2, 40)).astype(np.float32), rng.integers(0, 3, n))


def plant(supernet, choice):
    """Leave the first layer with hardly anything outside the support of ``choice``."""
    layer = supernet.layers[FIRST]
    index = supernet.choices(FIRST).index(choice)
    with torch.no_grad():
        layer.weight.mul_(1e-3)
        layer.set_choice_weight(index, torch.ones_like(layer.choice_weight(index)))
        layer.alpha.zero_()


@pytest.mark.parametrize("rule", ["energy", "explained", "least_squares"])
def test_the_smallest_kernel_that_holds_what_was_learned_is_taken(rule):
    supernet = sequence_supernet()
    truth = Choice.cube(3, 2, dims=1)
    plant(supernet, truth)
    derived = derive(supernet, rule, torch.randn(8, 2, 40))
    assert derived.spec.layers[FIRST] == truth
    assert derived.lost[FIRST] < 0.01


def test_validation_finds_what_held_out_data_needs():
    """Labels are the supernet's own, so every restriction that changes its output costs."""
    supernet = sequence_supernet()
    truth = Choice.cube(3, 4, dims=1)
    plant(supernet, truth)
    heldout = split(200)
    with torch.no_grad(), batch_statistics(supernet):
        outputs = supernet(torch.from_numpy(heldout.X))
        labels = (outputs - outputs.mean(0)).argmax(1).numpy()
        scale = 5 / outputs.std(0).mean()
        supernet.network.backbone.fc.weight.mul_(scale)
        supernet.network.backbone.fc.bias.copy_(-scale * outputs.mean(0))
    heldout = Split(heldout.X, labels)
    derived = derive(supernet, "validation", torch.from_numpy(heldout.X[:64]), heldout=heldout)
    assert derived.spec.layers[FIRST].dilation == truth.dilation
    assert all(score < 0 for score in derived.scores[FIRST])


def test_layers_that_hardly_matter_keep_their_own_kernels():
    supernet = shake(sequence_supernet())
    own = dict.fromkeys(supernet.layers, supernet.choices(FIRST).index(Choice.cube(7, 4, dims=1)))
    kept, scores = restrict_in_turn(supernet, split(), own=own, tolerance=1e3)
    assert kept == own
    assert set(scores) == set(own)
    picked, _ = restrict_in_turn(supernet, split(), tolerance=1e3)  # no own: the smallest
    assert {supernet.choices(n)[i].taps for n, i in picked.items()} == {3}


@pytest.mark.parametrize("weights", ["separate", "shared"])
@pytest.mark.parametrize("rule", RULES)
def test_deriving_leaves_the_supernet_as_it_was(rule, weights):
    supernet = shake(sequence_supernet(weights=weights)).train()
    before = copy.deepcopy(supernet.state_dict())
    derive(supernet, rule, torch.randn(8, 2, 40), heldout=split())
    assert supernet.training
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("weights", ["separate", "shared"])
@pytest.mark.parametrize("rule", RULES)
def test_scores_name_every_choice_and_what_is_lost_is_what_the_fold_loses(rule, weights):
    supernet = shake(sequence_supernet(weights=weights))
    samples = torch.randn(8, 2, 40)
    derived = derive(supernet, rule, samples, heldout=split())
    assert {n: len(s) for n, s in derived.scores.items()} == dict.fromkeys(supernet.layers, 9)
    # By hand, for the first layer, whose input no other layer touches.
    kept = {}
    hook = supernet.layers[FIRST].register_forward_hook(lambda _m, _x, y: kept.update(y=y))
    with torch.no_grad():
        supernet(samples)
        whole = kept["y"]
        settle(supernet, derived)
        supernet.select(derived.spec)
        supernet(samples)
    hook.remove()
    r = [np.corrcoef(whole[:, c].flatten(), kept["y"][:, c].flatten())[0, 1] for c in range(4)]
    assert derived.lost[FIRST] == pytest.approx(1 - np.mean(np.square(r)), abs=1e-3)


@pytest.mark.parametrize("rule", ["energy", "explained", "least_squares", "validation"])
def test_the_prior_is_the_slack_and_nothing_else(rule):
    supernet = shake(sequence_supernet())
    samples = torch.randn(8, 2, 40)
    taps = []
    for slack in (0.0, 0.999):
        derived = derive(supernet, rule, samples, heldout=split(), slack=slack)
        taps.append(sum(choice.taps for choice in derived.spec.layers.values()))
    assert taps == sorted(taps, reverse=True)
    assert taps[0] > taps[-1]
    if rule != "validation":  # it grants a standard error beside
        derived = derive(supernet, rule, samples, slack=0.0)
        for name, scores in derived.scores.items():
            index = supernet.choices(name).index(derived.spec.layers[name])
            assert scores[index] == max(scores)


@pytest.mark.parametrize("rule", RULES)
def test_shared_weights_fold_to_what_each_layer_computed_on_the_support(rule):
    supernet = shake(sequence_supernet(weights="shared"))
    assert supernet.layers[FIRST].weight.shape == (7, 4, 2)  # of the largest kernel, once
    samples = torch.randn(8, 2, 40)
    derived = derive(supernet, rule, samples, heldout=split())
    wanted = {}
    for name, choice in derived.spec.layers.items():
        index = supernet.choices(name).index(choice)
        fit = derived.fits.get(name)
        wanted[name] = fit.weight if fit else supernet.layers[name].restricted(index).detach()
    settle(supernet, derived)
    folded = fold(supernet, derived.spec)
    for name, weight in wanted.items():
        torch.testing.assert_close(folded.backbone.get_submodule(name).weight.data, weight)
    with torch.inference_mode():
        torch.testing.assert_close(folded(samples), supernet(samples), rtol=1e-4, atol=1e-4)


def test_of_equal_choices_the_smallest_and_of_those_the_best_is_taken():
    layer = AggConv(1, 1, [Choice.cube(k, d, dims=1) for k in (5, 3) for d in (1, 2)])
    assert fewest_taps(layer, [1.0, 0.9, 0.95, 0.97], slack=0.1) == 3
    assert fewest_taps(layer, [1.0, 0.9, 0.95, 0.97], slack=0.04) == 3
    assert fewest_taps(layer, [1.0, 0.9, 0.95, 0.97], slack=0.01) == 0


def test_a_rule_that_lacks_what_it_needs_says_so():
    supernet = sequence_supernet()
    for rule in ("explained", "least_squares", "validation"):
        with pytest.raises(ValueError, match="needs samples"):
            derive(supernet, rule)
    with pytest.raises(ValueError, match="held-out"):
        derive(supernet, "validation", torch.randn(2, 2, 40))
    with pytest.raises(ValueError, match="argmax, energy"):
        derive(supernet, "magic")
    with pytest.raises(ValueError, match="paths"):
        torch.manual_seed(0)
        net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args={"width": 4})
        derive(build_supernet(net, SPACE, (40,), kind="paths"))


def test_least_squares_folds_to_its_own_weights():
    supernet = shake(sequence_supernet())
    samples = torch.randn(8, 2, 40).cumsum(-1)  # correlated
    derived = derive(supernet, "least_squares", samples)
    assert derived.lost[FIRST] < derive(supernet, "explained", samples).lost[FIRST] or (
        derived.spec.layers[FIRST] != derive(supernet, "explained", samples).spec.layers[FIRST]
    )
    settle(supernet, derived)
    folded = fold(supernet, derived.spec)
    weight = folded.backbone.get_submodule(FIRST).weight
    torch.testing.assert_close(weight, derived.fits[FIRST].weight)
    with torch.inference_mode():
        torch.testing.assert_close(supernet(samples), folded(samples), atol=1e-4, rtol=1e-4)


def test_taps_that_hardly_touch_the_signal_do_not_count():
    """A heavy tap that reads padding almost everywhere fools energy, not what it explains."""
    supernet = sequence_supernet(space=SearchSpace(kernels=(3, 7), dilations=(1, 9)), size=(10,))
    layer = supernet.layers["blocks.0.conv1"]
    choices = supernet.choices("blocks.0.conv1")
    near, far = (choices.index(Choice.cube(3, d, dims=1)) for d in (1, 9))
    with torch.no_grad():
        layer.weight.zero_()
        layer.set_choice_weight(near, torch.ones_like(layer.choice_weight(near)))
        edges = torch.ones_like(layer.choice_weight(far)) * 3
        edges[..., 1] = 0
        layer.set_choice_weight(far, edges)
    x = torch.randn(64, 2, 10)
    assert derive(supernet, "energy").spec.layers["blocks.0.conv1"] == choices[far]
    assert derive(supernet, "explained", x).spec.layers["blocks.0.conv1"] == choices[near]


def test_explained_shares_lie_between_0_and_1_and_the_whole_support_explains_all():
    supernet = shake(sequence_supernet(space=SearchSpace(kernels=(3, 7), dilations=(1,))))
    for name, shares in explained(supernet, torch.randn(16, 2, 40)).items():
        assert all(0 <= share <= 1 + 1e-6 for share in shares)
        assert shares[supernet.choices(name).index(Choice.cube(7, 1, dims=1))] > 0.9999
