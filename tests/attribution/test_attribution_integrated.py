"""Integrated gradients: closed forms, axioms, and what the rules of quadrature cost."""

from typing import get_args

import pytest
import torch
from tests.attribution.attribution_networks import OURS, TARGET, convolutional, drawn, ours, seeded, uniform
from torch import nn

from weightlore.attribution import gradient, gradient_times_input, scores
from weightlore.attribution.integrated import adaptive_integrated_gradients, integrated_gradients
from weightlore.attribution.paths import mean_path_gradient, path_gradients
from weightlore.attribution.quadrature import Rule
from weightlore.attribution.toys import Formula
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp

RULES = get_args(Rule)


def row(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


def smooth():
    return convolutional(nn.AvgPool2d, nn.Softplus), uniform(3, 2, 8, 8)


def gaps(model, x, rule, nodes, **how):
    return integrated_gradients(model, x, TARGET, baseline=0.0, rule=rule, nodes=nodes, **how).gap.abs()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nodes", [1, 2, 50])
def test_oracle_a_linear_model_gives_the_difference_times_its_weights(rule, nodes):
    model, x, b = nn.Linear(6, 3).eval(), uniform(3, 6).float(), uniform(3, 6, seed=1).float()
    found = integrated_gradients(model, x, TARGET, baseline=b, rule=rule, nodes=nodes)
    assert torch.allclose(found.values, (x - b) * model.weight.detach()[TARGET], atol=1e-6)
    assert bool((found.gap.abs() < 1e-6).all())


@pytest.mark.parametrize(
    ("rule", "exact"),
    [("gauss_legendre", True), ("midpoint", True), ("trapezoid", True), ("left", False), ("right", False)],
)
def test_oracle_a_quadratic_form_with_one_node(rule, exact):
    root = torch.randn(5, 5, generator=seeded(), dtype=torch.float64)
    q = root + root.T
    x, b = uniform(3, 5), uniform(3, 5, seed=1)
    model = Formula(lambda z: ((z @ q) * z).sum(1) / 2)
    found = integrated_gradients(model, x, 0, baseline=b, rule=rule, nodes=1).values
    assert torch.allclose(found, (x - b) * ((x + b) @ q) / 2, rtol=1e-12, atol=1e-14) == exact


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nodes", [4, 64])
def test_oracle_a_saturated_function_has_gradient_zero_and_integral_one(rule, nodes):
    model, x = Formula(lambda z: 1 - torch.relu(1 - z[:, 0])), row(2.0)
    assert gradient(model, x, 0).values.tolist() == [[0.0]]
    found = integrated_gradients(model, x, 0, baseline=0.0, rule=rule, nodes=nodes)
    assert abs(found.values.item() - 1) <= (1 if rule == "midpoint" else 2) / nodes  # the variation is 2
    assert found.gap.item() == pytest.approx(found.values.item() - 1, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_oracle_two_relus_that_start_at_half_the_path(rule):
    model = Formula(lambda z: torch.relu(torch.relu(z[:, 0]) - 1 - torch.relu(z[:, 1])))
    found = integrated_gradients(model, row(3.0, 1.0), 0, baseline=0.0, rule=rule, nodes=1000).values
    assert torch.allclose(found, row(1.5, -0.5), atol=4e-3)


@pytest.mark.parametrize("rule", ["right", "midpoint", "gauss_legendre"])  # the others look at zero itself, a kink
@pytest.mark.parametrize("nodes", [1, 5, 50])
def test_property_without_biases_from_zero_it_is_gradient_times_input(rule, nodes):
    model = drawn(nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()))
    model = nn.Sequential(model, drawn(nn.Linear(36, 10, bias=False))).eval()
    for network, x in ((model, uniform(3, 1, 8, 8)), (healthy("biasless"), uniform(3, 64))):
        found = integrated_gradients(network, x, TARGET, baseline=0.0, rule=rule, nodes=nodes)
        product = gradient_times_input(network, x, TARGET).values
        assert torch.allclose(found.values, product, atol=1e-12)
        assert bool((found.gap.abs() < 1e-12).all())
        assert torch.allclose(product.flatten(1).sum(1), scores(network, x, TARGET), atol=1e-12)


def test_property_completeness_of_a_smooth_network_falls_as_the_theory_says():
    model, x = smooth()
    assert bool((gaps(model, x, "gauss_legendre", 16) < 1e-8).all())
    for rule, low, high in (("trapezoid", 3.5, 4.5), ("midpoint", 3.5, 4.5), ("left", 1.7, 2.3), ("right", 1.7, 2.3)):
        ratio = gaps(model, x, rule, 64) / gaps(model, x, rule, 128)
        assert bool(((ratio > low) & (ratio < high)).all()), rule


@pytest.mark.parametrize(("activation", "enough"), [(nn.Softplus, True), (nn.Tanh, True), (nn.ReLU, False)])
def test_property_a_quarter_of_the_nodes_is_as_exact_where_there_are_no_kinks(activation, enough):
    model, x = convolutional(nn.AvgPool2d, activation), uniform(3, 2, 8, 8)
    exact = integrated_gradients(model, x, TARGET, baseline=0.0, nodes=512).values
    errors = {}
    for nodes in (16, 64):
        found = integrated_gradients(model.float(), x.float(), TARGET, baseline=0.0, nodes=nodes).values
        errors[nodes] = float((found - exact).abs().max() / exact.abs().max())
    assert (errors[16] < 2e-6) == (errors[64] < 2e-6) == enough
    assert (errors[16] < 2 * errors[64]) == enough


def test_property_completeness_of_a_smooth_network_with_probabilities():
    model, x = smooth()
    assert bool((gaps(model, x, "gauss_legendre", 64, output="probability") < 1e-8).all())


def test_property_completeness_of_a_relu_network_is_slow_for_every_rule():
    model, test = healthy("cnn"), digits("test", images=True)[:20]
    difference = (scores(model, test.x, test.y) - scores(model, torch.zeros_like(test.x), test.y)).abs()
    for nodes, most in ((32, 0.05), (256, 0.01)):
        for rule in ("gauss_legendre", "midpoint", "trapezoid"):
            found = integrated_gradients(model, test.x, test.y, baseline=0.0, rule=rule, nodes=nodes)
            relative = (found.gap.abs() / difference).median()
            assert 1e-6 < float(relative) < most, (rule, nodes)


@pytest.mark.parametrize("name", OURS)
def test_property_an_input_that_equals_its_baseline_gets_exactly_zero(name):
    model, x = ours()[name]
    same = torch.rand(x.shape, generator=seeded(3)) < 0.4
    b = torch.where(same, x, uniform(*x.shape, seed=4))
    found = integrated_gradients(model, x, TARGET, baseline=b, nodes=3)
    assert bool((found.values[same] == 0).all())
    assert bool((found.values[~same] != 0).any())
    assert (found.values.shape, found.gap.shape, found.output) == (x.shape, (3,), "logit")


def test_property_trained_and_random_networks_have_their_zeros_at_the_same_pixels():
    x = digits("test").x[:10]
    trained, random = (
        integrated_gradients(model, x, 3, baseline=0.0, nodes=8).values
        for model in (healthy(), mlp(generator=seeded()).eval())
    )
    assert bool((trained[x == 0] == 0).all())
    assert bool((random[x == 0] == 0).all())
    assert bool((trained[x != 0] != 0).any())


def test_property_two_wirings_of_one_function_have_one_integral():
    def nested(z):  # clip to [0, 1] is relu(z) - relu(z - 1)
        return 1 - torch.relu(1 - torch.relu(z[:, 0])) + 2 * z[:, 1]

    def side_by_side(z):
        return torch.relu(z[:, 0]) - torch.relu(z[:, 0] - 1) + z[:, 1] + z[:, 1]

    x, b = 4 * uniform(50, 2) - 1, row(-0.5, 0.3)
    assert torch.allclose(nested(x), side_by_side(x))
    one, other = (integrated_gradients(Formula(f), x, 0, baseline=b, nodes=40) for f in (nested, side_by_side))
    assert torch.allclose(one.values, other.values, atol=1e-14)


def test_property_linearity_symmetry_and_what_the_function_ignores():
    def one(z):
        return (z[:, 0] * z[:, 1]).tanh()

    def other(z):
        return torch.relu(z[:, 0] + z[:, 1] - 0.5)

    x, b = row(0.8, 0.8, 0.3), row(0.1, 0.1, 0.9)
    parts = [integrated_gradients(Formula(f), x, 0, baseline=b).values for f in (one, other)]
    total = integrated_gradients(Formula(lambda z: 2 * one(z) - 3 * other(z)), x, 0, baseline=b).values
    assert torch.allclose(total, 2 * parts[0] - 3 * parts[1], atol=1e-14)
    for part in parts:
        assert part[0, 0].item() == pytest.approx(part[0, 1].item(), abs=1e-15)
        assert part[0, 2] == 0


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_property_the_chunk_changes_rounding_at_most(name, chunk):
    model, x = ours()[name]
    how = {"baseline": 0.1, "rule": "trapezoid", "nodes": 5}
    whole, parts = (integrated_gradients(model, x, TARGET, chunk=size, **how) for size in (None, chunk))
    assert torch.allclose(parts.values, whole.values, rtol=1e-10, atol=1e-13)
    assert torch.allclose(parts.gap, whole.gap, atol=1e-11)


def test_property_the_sum_itself_does_not_know_the_chunk():
    model, x = Formula(lambda z: (z**3).sum(1) + z.exp().sum(1)), uniform(7, 5)
    found = [integrated_gradients(model, x, 0, baseline=0.0, nodes=9, chunk=size).values for size in (1, 4, 5, 63, 64)]
    assert all(torch.equal(one, found[0]) for one in found)


def test_oracle_mean_path_gradient_and_integrand():
    model, x = smooth()
    b = uniform(3, 2, 8, 8, seed=9)
    mean = mean_path_gradient(model, x, TARGET, baseline=b, rule="left", nodes=4)
    places = torch.tensor([0, 0.25, 0.5, 0.75])
    h = path_gradients(model, x, TARGET, baseline=b, places=places, chunk=5)
    by_hand = torch.stack([gradient(model, b + float(a) * (x - b), TARGET).values for a in places])
    assert torch.allclose(h, by_hand, atol=1e-13)
    assert torch.allclose(mean, h.mean(0), atol=1e-13)
    found = integrated_gradients(model, x, TARGET, baseline=b, rule="left", nodes=4).values
    assert torch.equal(found, (x - b) * mean)


def test_property_the_integrand_is_a_step_function_for_relu_and_smooth_for_softplus():
    places = torch.linspace(0, 1, 401, dtype=torch.float64)
    x = uniform(1, 2, 8, 8)
    steps = {}
    for activation in (nn.ReLU, nn.Softplus):
        h = path_gradients(convolutional(nn.AvgPool2d, activation), x, 1, baseline=0.0, places=places).flatten(1)
        steps[activation] = h.diff(dim=0).abs().amax(1)
    flat = steps[nn.ReLU] < 1e-12
    assert 0.5 < float(flat.double().mean()) < 1
    assert not bool((steps[nn.Softplus] < 1e-12).any())


@pytest.mark.parametrize("rule", RULES)
def test_property_adaptive_nodes_meet_the_wish_or_say_that_they_did_not(rule):
    model, test = healthy("cnn"), digits("test", images=True)[:12]
    wanted = scores(model, test.x, test.y) - scores(model, torch.zeros_like(test.x), test.y)
    found = adaptive_integrated_gradients(
        model, test.x, test.y, baseline=0.0, rule=rule, relative=0.01, absolute=0.0, start=4, most=64
    )
    assert torch.equal(found.met, found.gap.abs() <= 0.01 * wanted.abs())
    assert bool((found.met | (found.nodes == 64)).all())
    assert len(found.nodes.unique()) > 1
    for n in range(12):
        count = int(found.nodes[n])
        alone = integrated_gradients(model, test.x[n : n + 1], test.y[n : n + 1], baseline=0.0, rule=rule, nodes=count)
        assert torch.allclose(found.values[n], alone.values[0], atol=1e-12)
        assert found.gap[n].item() == pytest.approx(alone.gap.item(), abs=1e-11)
        nested = rule in ("left", "right", "trapezoid")
        assert found.evaluations[n] == (count + (rule == "trapezoid") if nested else 2 * count - 4)
        assert bool(found.change[n].isnan()) == (count == 4)


def test_property_adaptive_change_is_the_largest_of_the_last_doubling():
    model, x = smooth()
    how = {"baseline": 0.0, "rule": "midpoint"}
    found = adaptive_integrated_gradients(model, x, TARGET, relative=0.0, absolute=0.0, start=2, most=4, **how)
    one, two = (integrated_gradients(model, x, TARGET, nodes=n, **how).values for n in (2, 4))
    assert torch.allclose(found.change, (two - one).flatten(1).abs().amax(1), atol=1e-15)
    assert not bool(found.met.any())


def test_limit_an_input_that_is_its_baseline():
    model, x = smooth()
    found = adaptive_integrated_gradients(model, x, TARGET, baseline=x, relative=0.0, absolute=0.0)
    assert not bool(found.values.any())
    assert found.gap.tolist() == [0, 0, 0]
    assert bool(found.met.all())
    assert found.nodes.tolist() == [8, 8, 8]


def test_property_what_is_not_said_is_fifty_nodes_and_a_ten_thousandth():
    model, x = smooth()
    default, fifty, more = (
        integrated_gradients(model, x, TARGET, baseline=0.0, rule="left", **how).values
        for how in ({}, {"nodes": 50}, {"nodes": 51})
    )
    assert torch.equal(default, fifty)
    assert not torch.equal(default, more)
    default, said = (
        adaptive_integrated_gradients(model, x, TARGET, baseline=0.0, rule="left", relative=0.0, **how)
        for how in ({}, {"absolute": 1e-4, "start": 8, "most": 1024})
    )
    assert torch.equal(default.nodes, said.nodes)
    assert bool((default.nodes > 8).any())


def test_limit_half_precision_and_float32_images():
    model, x = smooth()
    exact = integrated_gradients(model, x, TARGET, baseline=0.0, nodes=8)
    single = integrated_gradients(model.float(), x.float(), TARGET, baseline=0.0, nodes=8)
    assert single.values.dtype == single.gap.dtype == torch.float32
    assert torch.allclose(single.values.double(), exact.values, atol=1e-5)
    half = integrated_gradients(model.bfloat16(), x.bfloat16(), TARGET, baseline=0.0, nodes=8)
    assert half.values.dtype == torch.bfloat16
    assert float((half.values - exact.values).abs().max()) < 0.05 * float(exact.values.abs().max())


class Viewed(nn.Module):
    """Flattens by a view, which one layout of memory does not allow, and writes into its input."""

    def __init__(self):
        super().__init__()
        self.convolution, self.readout = nn.Conv2d(1, 3, 3), nn.Linear(108, 4)

    def forward(self, x):
        x.mul_(2)
        return self.readout(torch.relu_(self.convolution(x)).view(len(x), -1))


def test_property_a_network_that_views_and_writes_in_place_is_read_and_left_alone():
    model, x = drawn(Viewed()), uniform(3, 1, 8, 8)
    exact = integrated_gradients(model, x, TARGET, baseline=0.0)
    single, given = model.float(), x.float()
    before = {name: tensor.clone() for name, tensor in single.state_dict().items()}
    found = integrated_gradients(single, given, TARGET, baseline=0.0)
    assert torch.allclose(found.values.double(), exact.values, atol=1e-4)
    assert torch.equal(given, x.float())
    assert all(torch.equal(tensor, before[name]) for name, tensor in single.state_dict().items())
    assert single.convolution.weight.is_contiguous()
    assert all(p.requires_grad and p.grad is None for p in single.parameters())


def test_property_it_works_where_gradients_are_off_and_leaves_no_graph():
    model, x = smooth()
    expected = integrated_gradients(model, x, TARGET, baseline=0.0, nodes=3).values
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            assert torch.equal(integrated_gradients(model, x, TARGET, baseline=0.0, nodes=3).values, expected)
    tracked = integrated_gradients(model, x.clone().requires_grad_(), TARGET, baseline=0.0, nodes=3)
    assert not tracked.values.requires_grad
    assert not tracked.gap.requires_grad


def root_model():
    return Formula(lambda z: z.abs().sqrt().sum(1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: integrated_gradients(m, x, 0, baseline=0.0, nodes=0), "nodes must be a whole number of at least"),
        (lambda m, x: integrated_gradients(m, x, 0, baseline=0.0, rule="simpson"), "rule is one of"),
        (lambda m, x: integrated_gradients(m, x, 0, baseline=x[:2]), r"shaped like x \(3, 4\)"),
        (lambda m, x: integrated_gradients(m, x, 0, baseline=0.0, chunk=0), "chunk must be a whole number"),
        (lambda m, x: integrated_gradients(m.train(), x, 0, baseline=0.0), "eval mode"),
        (lambda m, x: integrated_gradients(m, x / 0, 0, baseline=0.0), "NaN or infinite"),
        (lambda m, x: integrated_gradients(m, x, 7, baseline=0.0), "classes lie between 0 and 1"),
        (lambda m, x: integrated_gradients(m, x, 0, baseline=0.0, output="loss"), "output is one of"),
        (lambda m, x: path_gradients(m, x, 0, baseline=0.0, places=torch.tensor([1.1])), "between 0 and 1"),
        (lambda m, x: path_gradients(m, x, 0, baseline=0.0, places=torch.zeros(0)), "vector of numbers"),
        (lambda m, x: adaptive_integrated_gradients(m, x, 0, baseline=0.0, relative=-1.0), "sizes of gaps"),
        (lambda m, x: adaptive_integrated_gradients(m, x, 0, baseline=0.0, absolute=float("nan")), "sizes of gaps"),
        (lambda m, x: adaptive_integrated_gradients(m, x, 0, baseline=0.0, start=9, most=8), "at least start = 9"),
    ],
)
def test_error_arguments(call, message):
    model = drawn(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)))
    with pytest.raises(ParameterError, match=message):
        call(model, uniform(3, 4) + 0.1)


def test_error_a_gradient_that_is_not_finite_names_its_node():
    x = row(1.0, 1.0).repeat(2, 1)
    with pytest.raises(ParameterError, match=r"at node 0 \(a = 0\) on the path of example 0 is NaN or infinite"):
        integrated_gradients(root_model(), x, 0, baseline=0.0, rule="left", nodes=4)
    b = torch.tensor([[0.5, 0.5], [-1.0, 2.0]], dtype=torch.float64)
    with pytest.raises(ParameterError, match=r"at node 2 \(a = 0.5\) on the path of example 1"):
        integrated_gradients(root_model(), x, 0, baseline=b, rule="left", nodes=4)
    assert integrated_gradients(root_model(), x, 0, baseline=0.0, nodes=400).gap.abs().max() < 0.01


def test_error_a_score_without_gradient_and_one_that_is_not_finite():
    model = Formula(lambda z: z.detach().sum(1))
    with pytest.raises(ParameterError, match="has no gradient"):
        integrated_gradients(model, row(1.0), 0, baseline=0.0)
    with pytest.raises(ParameterError, match="the score must be finite"):
        integrated_gradients(Formula(lambda z: z[:, 0].log()), row(1.0), 0, baseline=0.0)
