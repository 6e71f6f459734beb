"""Training with binary weights: the paper's step by hand, restoring, resuming, and how well it does."""

import copy

import pytest
import torch
from torch import nn

from weightlore.binary.latent import BinaryTraining, rounded_binary
from weightlore.binary.rules import PlainSign, ScaledSign
from weightlore.binary.training import BinaryRecipe, fit_binary
from weightlore.binary.weights import binarize, binary_gradient, project_
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20
from weightlore.training import adam, cross_entropy, evaluate, fit
from weightlore.training.run import Diverged


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(seed=0, **options):
    return mlp((64, 12, 9, 8, 10), bias=False, generator=seeded(seed), **options)


def small_wide():
    return mlp((64, 128, 128, 128, 10), bias=False, generator=seeded())


BATCH = digits("train")[:32]


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def bits(model):
    """Names of parameters with at most two values for each output."""
    return [n for n, p in model.named_parameters() if p.ndim > 1 and all(len(r.unique()) <= 2 for r in p.flatten(1))]


@pytest.mark.parametrize("build", [small, lambda: cnn(generator=seeded())])
@pytest.mark.parametrize("rule", [ScaledSign(), ScaledSign(rescale=None), PlainSign()])
def test_oracle_a_step_is_the_papers_eight_lines(build, rule):
    model = build()
    training, by_hand = BinaryTraining(model, rule=rule), copy.deepcopy(model)
    loss = training.step(model, BATCH, seeded())
    loss.backward()
    binary = copy.deepcopy(by_hand)
    for name in training.layers:
        w = by_hand.get_submodule(name).weight.data
        rule.project_(w)  # lines 1 to 3
        binary.get_submodule(name).weight.data = rule.binarize_(w.clone(), None)  # 4
    expected = cross_entropy(binary, BATCH, seeded())
    expected.backward()  # 5
    assert loss.item() == expected.item()
    assert same(state(model), state(by_hand))  # 6: restored, and the projection stays
    for name, parameter in model.named_parameters():
        g = binary.get_parameter(name).grad
        inner = name.removesuffix(".weight") in training.layers and name.endswith(".weight")
        expected_gradient = rule.gradient(by_hand.get_parameter(name).data, g) if inner else g
        torch.testing.assert_close(parameter.grad, expected_gradient, rtol=1e-12, atol=1e-15)  # 7


def within():
    """A network of small weights, which projecting twice changes no more than once."""
    model = small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.1)
    return model


def test_oracle_the_mapped_gradient_of_the_default_rule():
    model = within()
    training = BinaryTraining(model)
    training.step(model, BATCH, seeded()).backward()
    w = model.layers[1].weight
    network = training.deployed()
    network.zero_grad()
    cross_entropy(network, BATCH, seeded()).backward()
    expected = binary_gradient(w.detach(), network.layers[1].weight.grad)
    torch.testing.assert_close(w.grad, expected, rtol=1e-9, atol=1e-12)


def test_property_only_inner_layers_are_binary_and_only_inside():
    model = small()
    given = state(model)
    training = BinaryTraining(model)
    assert training.layers == ("layers.1", "layers.2")
    assert set(training.weights()) == {"layers.1.weight", "layers.2.weight"}
    with training.binarized() as inside:
        assert inside is model
        assert bits(model) == ["layers.1.weight", "layers.2.weight"]
        scale, signs = binarize(project_(given["layers.1.weight"].clone()))
        torch.testing.assert_close(model.layers[1].weight.detach(), scale[:, None] * signs)
        outer = state(model)
        with training.binarized():
            assert same(state(model), outer)
        assert same(state(model), outer), "an inner block changes and restores nothing"
    assert same(state(model), given)
    places = [p.data_ptr() for p in model.parameters()]
    training.step(model, BATCH, seeded())
    assert [p.data_ptr() for p in model.parameters()] == places, "parameters stay where they were"


def test_property_evaluation_is_that_of_the_deployed_copy():
    model = healthy("biasless")
    given = state(model)
    training = BinaryTraining(model)
    network = training.deployed()
    assert not network.training
    assert bits(network) == ["layers.1.weight", "layers.2.weight"]
    with training.binarized():
        inside = evaluate(model, BATCH)
    assert inside == evaluate(network, BATCH)
    assert same(state(model), given)


class Fails(nn.Module):
    def forward(self, x):
        raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["forward", "backward", "base", "inside"])
def test_property_restored_bit_for_bit_after_an_exception(where):
    model = small()
    with torch.no_grad():
        model.layers[1].weight[0, 0] = -0.0
        model.layers[1].weight[0, 1] = 1e-310
    given, modes = state(model), [m.training for m in model.modules()]

    def base(model, batch, generator):
        if where == "base":
            raise KeyboardInterrupt
        loss = cross_entropy(model, batch, generator)
        if where == "backward":
            loss.register_hook(lambda g: Fails()(g))
        return loss

    training = BinaryTraining(model, base=base)
    if where == "forward":
        model.nonlinear[2] = Fails()

    def fails():
        if where == "inside":
            with training.binarized(keep=True):
                raise KeyboardInterrupt
        training.step(model, BATCH, seeded())

    with pytest.raises(KeyboardInterrupt):
        fails()
    after = state(model)
    assert same(after, given)
    assert after["layers.1.weight"][0, 0].signbit()
    assert [m.training for m in model.modules()][: len(modes)] == modes
    assert all(p.grad is None for p in model.parameters())
    model.nonlinear[2] = nn.ReLU()
    with training.binarized():
        assert bits(model) == ["layers.1.weight", "layers.2.weight"], "works again afterwards"


def test_property_frozen_weights_compute_as_bits_and_stay():
    model = small()
    model.layers[1].weight.requires_grad_(False)
    model.layers[0].weight.requires_grad_(False)
    given = state(model)
    training = BinaryTraining(model)
    training.step(model, BATCH, seeded()).backward()
    assert torch.equal(model.layers[1].weight, given["layers.1.weight"])
    assert model.layers[1].weight.grad is None
    assert not torch.equal(model.layers[2].weight, given["layers.2.weight"]), "the projection of what trains stays"
    assert model.layers[2].weight.grad is not None
    fit_binary(model, BATCH, generator=seeded(), recipe=BinaryRecipe(epochs=2))
    assert torch.equal(model.layers[1].weight, given["layers.1.weight"])
    assert torch.equal(model.layers[0].weight, given["layers.0.weight"])


def test_property_gradients_add_up_and_scale_like_others():
    one, two = within(), within()
    BinaryTraining(one).step(one, BATCH, seeded()).backward()
    training = BinaryTraining(two)
    (0.5 * training.step(two, BATCH, seeded())).backward()
    training.step(two, BATCH, seeded()).backward()
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(q.grad, 1.5 * p.grad, rtol=1e-9, atol=1e-12)


def test_error_backward_twice():
    model = small()
    loss = BinaryTraining(model).step(model, BATCH, seeded())
    loss.backward(retain_graph=True)
    with pytest.raises(ParameterError, match="backward was called twice"):
        loss.backward()


def test_property_evaluation_in_inference_mode_leaves_training_possible():
    one, two = small(), small()
    training = BinaryTraining(one)
    with torch.inference_mode(), training.binarized():
        assert evaluate(one, BATCH) == evaluate(BinaryTraining(two).deployed(), BATCH)
    training.step(one, BATCH, seeded()).backward()
    BinaryTraining(two).step(two, BATCH, seeded()).backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(one.parameters(), two.parameters(), strict=True))


def test_property_a_model_may_change_its_dtype_between_steps():
    model, data = small(), BATCH.to(dtype=torch.float32)
    training = BinaryTraining(model)
    training.step(model, BATCH, seeded()).backward()
    model.zero_grad()
    training.step(model.float(), data, seeded()).backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
    fresh = copy.deepcopy(model)
    assert torch.equal(training.deployed()(data.x), BinaryTraining(fresh).deployed()(data.x))


def test_property_tied_weights_are_projected_once():
    tied = nn.Linear(6, 6, bias=False)
    model = nn.Sequential(nn.Linear(64, 6), nn.ReLU(), tied, nn.ReLU(), tied, nn.ReLU(), nn.Linear(6, 10)).double()
    expected = project_(tied.weight.detach().clone())
    BinaryTraining(model).step(model, BATCH, seeded())
    assert torch.equal(tied.weight, expected)


def test_limit_a_dead_filter_trains_on():
    model = small()
    with torch.no_grad():
        model.layers[1].weight[3] = 0.25  # centering makes it zero
    training = BinaryTraining(model)
    training.step(model, BATCH, seeded()).backward()
    assert torch.equal(model.layers[1].weight[3], torch.zeros(12, dtype=torch.float64))
    with training.binarized():
        assert torch.equal(model.layers[1].weight[3], torch.zeros(12, dtype=torch.float64))
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_limit_a_residual_network_with_normalization():
    model = resnet20(width=2, generator=seeded())
    training = BinaryTraining(model)
    assert len(training.layers) == 20
    batch = Split(torch.randn(4, 3, 8, 8, generator=seeded()), torch.arange(4))
    training.step(model.train(), batch, seeded()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("rule", [None, PlainSign(stochastic=True)])
def test_property_resumed_training_ends_with_the_same_bits(rule, tmp_path):
    recipe = BinaryRecipe(epochs=4, batch_size=16, lr=1e-2, halve_every=2, decay_epochs=1, weight_decay=1e-2)
    whole, stopped, again = small(), small(), small(seed=1)
    expected = fit_binary(whole, BATCH, generator=seeded(3), recipe=recipe, rule=rule, validation=BATCH)

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    path, options = tmp_path / "run.pt", {"recipe": recipe, "rule": rule, "validation": BATCH}
    with pytest.raises(KeyboardInterrupt):
        fit_binary(stopped, BATCH, generator=seeded(3), checkpoint=path, callbacks=[interrupt], **options)
    found = fit_binary(again, BATCH, generator=seeded(99), checkpoint=path, **options)
    assert found.history == expected.history
    assert same(state(again), state(whole))
    assert same(state(found.network), state(expected.network))


def test_property_recipe_reaches_the_optimizer(monkeypatch):
    seen = []
    model = small()

    def watching(self, epoch, epochs):
        factor = original(self, epoch, epochs)
        seen.append((factor, self._tuner.param_groups[0]["weight_decay"], self._tuner.defaults["betas"]))
        return factor

    from weightlore.binary.fading import Fading

    original = Fading.schedule
    monkeypatch.setattr(Fading, "schedule", watching)
    recipe = BinaryRecipe(epochs=3, halve_every=2, weight_decay=0.1, decay_epochs=1, betas=(0.0, 0.999))
    fit_binary(model, BATCH, generator=seeded(), recipe=recipe)
    assert seen == [(1, 0.1, (0.0, 0.999)), (1, 0, (0.0, 0.999)), (0.5, 0, (0.0, 0.999))]


def test_property_validation_sees_the_binary_network():
    model, seen = small(), []
    recipe = BinaryRecipe(epochs=3, lr=1e-2)
    found = fit_binary(model, BATCH, generator=seeded(), recipe=recipe, validation=BATCH, callbacks=[seen.append])
    assert found.history.validation_loss[-1] == evaluate(found.network, BATCH).loss
    assert len(seen) == 3
    assert not model.training
    assert evaluate(model, BATCH).loss != found.history.validation_loss[-1], "latent weights are not what was evaluated"


def test_property_patience_goes_back_to_the_best_latent_weights():
    model = small()
    recipe = BinaryRecipe(epochs=40, lr=0.3)
    found = fit_binary(model, BATCH, generator=seeded(), recipe=recipe, validation=digits("validation"), patience=2)
    assert found.history.stopped == "patience"
    assert evaluate(found.network, digits("validation")).loss == min(found.history.validation_loss)


def test_error_a_loss_that_diverges_leaves_the_model_as_given():
    model = small()
    given = state(model)
    with pytest.raises(Diverged):
        fit_binary(model, BATCH, generator=seeded(), base=lambda m, b, g: cross_entropy(m, b, g) * float("nan"))
    assert same(state(model), given)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("rule", [ScaledSign(), ScaledSign(center=False), PlainSign()])
def test_error_weights_that_are_not_finite(bad, rule):
    model = small()
    training = BinaryTraining(model, rule=rule)
    with torch.no_grad():
        model.layers[2].weight[0, 0] = bad
    with pytest.raises(ParameterError, match="must be finite"):
        training.step(model, BATCH, seeded())
    with pytest.raises(ParameterError, match=r"'layers.2.weight' must be finite"):
        BinaryTraining(model, rule=rule)


def test_error_layers_that_cannot_be_binary():
    deep = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ParameterError, match=r"'1.weight' of shape \(4, 1, 3, 3\) has one input channel"):
        BinaryTraining(deep)
    BinaryTraining(deep, rule=ScaledSign(center=False))
    with pytest.raises(ParameterError, match="the model has 2 layers"):
        BinaryTraining(mlp((64, 5, 10), generator=seeded()))
    computed = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    nn.utils.parametrizations.weight_norm(computed[1])
    with pytest.raises(ParameterError, match=r"'1' is computed from other tensors.*remove_parametrizations"):
        BinaryTraining(computed)


def test_property_rounding_is_the_projection_onto_bits_without_centering():
    model = healthy("biasless")
    given = state(model)
    network = rounded_binary(model)
    assert same(state(model), given)
    for name in ("layers.1", "layers.2"):
        scale, signs = binarize(model.get_submodule(name).weight.detach())
        torch.testing.assert_close(network.get_submodule(name).weight.detach(), scale[:, None] * signs)
    for name in ("layers.0", "readout"):
        assert torch.equal(network.get_submodule(name).weight, model.get_submodule(name).weight)
    centered = rounded_binary(model, rule=ScaledSign(), layers=["layers.2"])
    assert bits(centered) == ["layers.2.weight"]


def test_claim_trained_bits_recover_what_rounding_loses():
    model, test, generator = small_wide(), digits("test"), seeded()
    fit(model, digits("train"), generator=generator, optimizer=adam(1e-3), epochs=20)
    full, rounded = evaluate(model, test).accuracy, evaluate(rounded_binary(model), test).accuracy
    found = fit_binary(model, digits("train"), generator=generator, recipe=BinaryRecipe(epochs=20))
    trained = evaluate(found.network, test).accuracy
    assert rounded < full - 0.05
    assert trained > full - 0.02
