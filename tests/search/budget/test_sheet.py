"""The bill is what the networks really cost."""

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.budget import Budget, Ledger, cost_sheet
from dashzoo_search.budget.receptive import receptive_field, windows
from dashzoo_search.errors import BadBudget, BadBundle, BadData
from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.convs import replace_module
from dashzoo_search.ops.latency import LatencyTable
from dashzoo_search.plan import count_macs
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet

CPU = torch.device("cpu")
CASES = {
    "wrn1d": (1, (40,), {"width": 4}, SearchSpace(kernels=(3, 5, 7), dilations=(1, 3))),
    "test_resnet": (2, (33, 33), {}, SearchSpace(kernels=(3, 5), dilations=(1, 2))),
    "resnet10t": (2, (40, 40), {}, SearchSpace(kernels=(3, 5), dilations=(1, 2))),
}


def net(backbone, spec=None):
    dims, _, args, _ = CASES[backbone]
    return SearchedNet(
        backbone, dims=dims, in_chans=3, num_classes=2, backbone_args=args, kernels=spec
    ).eval()


def supernet(backbone):
    _, size, _, space = CASES[backbone]
    return build_supernet(net(backbone), space, size, kind="paths")


@pytest.mark.parametrize("backbone", CASES)
def test_costs_are_those_of_the_network_built(backbone):
    size = CASES[backbone][1]
    sheet = cost_sheet(supernet(backbone), size)
    rng = np.random.default_rng(0)
    for _ in range(3):
        picks = {name: int(rng.integers(len(c))) for name, c in sheet.choices.items()}
        spec = sheet.spec(picks)
        assert sheet.picks(spec) == picks
        built = net(backbone, spec)
        told = sheet.of(picks)
        assert told["params"] == sum(p.numel() for p in built.parameters())
        assert told["macs"] == count_macs(built, size)
        planes = built.preprocess(built.example_input(size, batch=2))
        assert told["receptive_field"] == receptive_field(windows(built.backbone, planes))
        assert (sheet.least() <= sheet.total(picks)).all()


def test_reckoning_draws_no_random_number():
    made = supernet("wrn1d")
    before = torch.random.get_rng_state()
    cost_sheet(made, (40,))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("backbone", "size"), [("wrn1d", (151,)), ("test_resnet", (257, 257))])
def test_the_receptive_field_is_what_gradients_reach(backbone, size):
    """With positive weights and no activation in the way, what counts is what has a gradient."""
    built = net(backbone)
    for name, module in list(built.backbone.named_modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1e-2)
        if isinstance(module, nn.BatchNorm2d):  # the last of a block starts at zero
            nn.init.ones_(module.weight)
        if isinstance(module, nn.MaxPool2d):  # a maximum has one gradient only
            mean = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            replace_module(built.backbone, name, mean)
    x = built.preprocess(1 + built.example_input(size)).double().requires_grad_()
    features = built.backbone.double().forward_features(x)
    middle = features[..., features.shape[-2] // 2, features.shape[-1] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, x)
    reached = gradient.abs().sum(tuple(range(gradient.ndim - 1))) > 0
    seen = windows(built.backbone.float(), x.detach().float())
    assert int(reached.sum()) == receptive_field(seen)


class TestLedger:
    def sheet(self):
        return cost_sheet(supernet("wrn1d"), (40,))

    def evidence(self, sheet, seed=0):
        rng = np.random.default_rng(seed)
        gaps = {name: rng.exponential(0.1, len(c)) for name, c in sheet.choices.items()}
        return {name: list(gap - gap.min()) for name, gap in gaps.items()}

    def decided(self, behind):
        return {name: int(np.argmin(gaps)) for name, gaps in behind.items()}

    @pytest.mark.parametrize("resource", ["params", "macs", "receptive_field"])
    def test_what_is_taken_fits_and_what_fits_is_left_alone(self, resource):
        sheet = self.sheet()
        behind = self.evidence(sheet)
        decided = self.decided(behind)
        column = sheet.resources.index(resource)
        free, least = sheet.total(decided)[column], sheet.least()[column]
        for share in (0.0, 0.2, 0.7):
            limit = int(least + share * (free - least))
            ledger = Ledger(sheet, Budget(**{f"max_{resource}": limit}))
            picks = ledger.picks(behind, decided)
            assert ledger.fits(picks)
            assert sheet.of(picks)[resource] <= limit
            assert not ledger.fits(decided)
        assert (
            Ledger(sheet, Budget(**{f"max_{resource}": int(free)})).picks(behind, decided)
            == decided
        )

    def test_a_tighter_budget_never_predicts_less_loss(self):
        sheet = self.sheet()
        behind = self.evidence(sheet, 3)
        decided, told = self.decided(behind), []
        for limit in np.linspace(sheet.least()[0], sheet.total(decided)[0], 12):
            ledger = Ledger(sheet, Budget(max_params=int(np.ceil(limit))))
            told.append(ledger.predicted(behind, ledger.picks(behind, decided)))
        assert told == sorted(told, reverse=True)
        assert told[0] > told[-1] == 0

    def test_a_price_trades_loss_for_cost(self):
        sheet = self.sheet()
        behind = self.evidence(sheet)
        decided = self.decided(behind)
        costs = []
        for price in (0.0, 0.3, 100.0):
            picks = Ledger(sheet, Budget(price=price)).picks(behind, decided)
            costs.append(sheet.of(picks)["macs"])
        assert costs[0] == sheet.of(decided)["macs"] > costs[1] > costs[2]
        assert costs[2] == sheet.least()[1]

    def test_gains_that_did_not_convince_do_not_count(self):
        sheet = self.sheet()
        behind = self.evidence(sheet)
        own = dict(sheet.own)
        total = sheet.total(own)
        picks = Ledger(sheet, Budget(max_params=int(total[0]) - 1)).picks(behind, own)
        changed = [name for name in own if picks[name] != own[name]]
        assert 0 < len(changed) < len(own)

    def test_broken_evidence_is_only_taken_where_nothing_else_fits(self):
        sheet = self.sheet()
        behind = {name: [float("inf")] * len(c) for name, c in sheet.choices.items()}
        ledger = Ledger(sheet, Budget(max_params=int(sheet.least()[0])))
        assert ledger.fits(ledger.picks(behind, dict(sheet.own)))

    def test_the_front_keeps_the_limits(self):
        sheet = self.sheet()
        behind = self.evidence(sheet)
        whole = Ledger(sheet, Budget()).front(behind)
        limit = whole[len(whole) // 2]["cost"]["macs"]
        kept = Ledger(sheet, Budget(max_macs=limit)).front(behind)
        assert kept == [member for member in whole if member["cost"]["macs"] <= limit]
        assert 0 < len(kept) < len(whole)
        assert whole[0]["behind"] == 0

    def test_impossible_limits_name_the_least(self):
        sheet = self.sheet()
        least = sheet.named(sheet.least())
        with pytest.raises(BadBudget, match=f"has {least['macs']:,} MACs, above --max-macs 10"):
            Ledger(sheet, Budget(max_macs=10)).check()
        Ledger(sheet, Budget(max_macs=least["macs"])).check()

    def test_limits_that_exclude_each_other(self):
        sheet = self.sheet()
        for costs in sheet.costs.values():  # few parameters see far, and the other way round
            costs[:, 2] = costs[:, 0].max() - costs[:, 0]
        least = sheet.named(sheet.least())
        limits = {"max_params": least["params"], "max_receptive_field": least["receptive_field"]}
        with pytest.raises(BadBudget, match="--max-params and --max-receptive-field together"):
            Ledger(sheet, Budget(**limits)).check()

    def test_a_damaged_state_is_refused(self):
        ledger = Ledger(self.sheet(), Budget(max_params=10**9))
        state = ledger.state_dict()
        ledger.load_state_dict(state)
        state["fixed"][0] = float("nan")
        with pytest.raises(BadBundle):
            ledger.load_state_dict(state)

    def test_latencies_come_from_the_table_and_a_foreign_one_says_what_it_lacks(self, tmp_path):
        made, path = supernet("wrn1d"), tmp_path / "table.json"
        table = LatencyTable()
        sheet = cost_sheet(made, (40,), latency=table)
        assert sheet.resources[-1] == "latency"
        assert (sheet.least() > 0).all()
        told = {**table.to_json(), "machine": {"processor": "another"}}
        sums = cost_sheet(made, (40,), latency=LatencyTable.from_json(told))
        np.testing.assert_allclose(sums.total(sums.own), sheet.total(sheet.own), rtol=1e-3)
        told["ms"] = {"b1 1→1 1×1 s1×1 g1 k1 d1": 1.0}
        LatencyTable.from_json(told).save(path)
        budget = Budget(max_latency=1.0, latency_table=str(path))
        with pytest.raises(BadBudget, match=r"lacks layer blocks\.0\.conv1"):
            Ledger.open(made, (40,), budget, device=CPU)


@pytest.mark.parametrize(
    "options",
    [{"max_params": 0}, {"max_latency": float("nan")}, {"price": -1.0}, {"price_on": "euros"}],
)
def test_bad_budgets_are_refused(options):
    with pytest.raises(BadData):
        Budget(**options)
