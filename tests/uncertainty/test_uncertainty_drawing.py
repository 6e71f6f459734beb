import pytest
import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian import Stochastic, drawing, predict_members
from weightlore.uncertainty.bayesian.drawing import normal_like


class Shaken(Stochastic):
    """Adds one random number to all of its outputs, which the mean leaves out."""

    def forward(self, x: Tensor) -> Tensor:
        generator = self.chance()
        return x if generator is None else x + self.kept("shift", lambda: normal_like(x[:1], generator))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2, dtype=torch.float64), Shaken())


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.linspace(-1, 1, 21, dtype=torch.float64).reshape(7, 3)


def test_property_outside_the_mean_and_inside_a_draw():
    model = network().eval()
    with drawing(model, seeded()) as inside:
        assert inside is model
        first, second = model(X), model(X)
    assert not torch.equal(first, second)
    assert torch.equal(model(X), model[0](X))


def test_property_held_draws_stay_and_a_new_block_draws_anew():
    model, generator = network().train(), seeded()
    with drawing(model, generator, held=True):
        first, second = model(X), model(X)
    with drawing(model, generator, held=True):
        third = model(X)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_property_blocks_nest_and_leave_the_model_as_it_was():
    model = network().train()
    with drawing(model, seeded(1), held=True):
        first = model(X)
        with drawing(model, seeded(2)):
            assert not torch.equal(model(X), first)
        with pytest.raises(RuntimeError), drawing(model, seeded(3)):
            model(X[:, :2])
        assert torch.equal(model(X), first)
    assert model[1].source is None
    assert model[1].held is None


def test_error_training_without_a_generator_says_how():
    with pytest.raises(ParameterError, match=r"with drawing\(model, generator\)"):
        network().train()(X)


def test_error_a_model_without_chance():
    with pytest.raises(ParameterError, match="no layer that draws"), drawing(nn.Linear(1, 1), seeded()):
        pass


def test_property_members_do_not_depend_on_the_batch_size():
    model = network().train()
    whole = predict_members(model, X, samples=4, generator=seeded())
    parts = predict_members(model, X, samples=4, generator=seeded(), batch_size=2)
    assert whole.probs.shape == (4, 7, 2)
    torch.testing.assert_close(whole.probs, parts.probs, rtol=0, atol=1e-15)
    assert model.training
    assert model[1].training
    assert model[1].source is None


def test_oracle_means_and_noise_of_a_regression():
    model = network().eval()
    found = predict_members(model, X, samples=50, generator=seeded(), noise_variance=0.5)
    shifts = torch.stack([torch.randn(1, 2, generator=g, dtype=torch.float64) for g in [seeded()] for _ in range(50)])
    torch.testing.assert_close(found.mean, model(X).detach() + shifts.mean(0))
    torch.testing.assert_close(found.epistemic_var, shifts.var(0, correction=0).expand(7, 2))
    assert torch.equal(found.aleatoric_var, torch.full((7, 2), 0.5, dtype=torch.float64))


def test_oracle_a_model_that_says_its_variance():
    class Pair(Shaken):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(x), torch.full_like(x, 0.25)

    found = predict_members(Pair(), X, samples=3, generator=seeded())
    assert found.member_means.shape == (3, 7, 3)
    assert bool((found.aleatoric_var == 0.25).all())
    with pytest.raises(ParameterError, match="leave it out"):
        predict_members(Pair(), X, samples=3, generator=seeded(), noise_variance=1.0)


@pytest.mark.parametrize(
    ("changed", "repair"),
    [
        ({"samples": 0}, "samples must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"noise_variance": -1.0}, "noise_variance must be >= 0"),
        ({"x": X[:0]}, "at least one example"),
        ({"x": X * torch.nan}, "x must be finite"),
    ],
)
def test_error_arguments_out_of_range(changed, repair):
    given = {"x": X, "samples": 2, "generator": seeded()} | changed
    with pytest.raises(ParameterError, match=repair):
        predict_members(network(), given.pop("x"), **given)
