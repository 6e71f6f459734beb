"""The last layer of a network, found by its name and by what it says."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20
from weightlore.networks.readouts import last_linear, readout_name, readout_of


def seeded():
    return torch.Generator().manual_seed(0)


class Backwards(nn.Module):
    """A network whose layers are registered in another order than they speak, with one that is never asked."""

    def __init__(self):
        super().__init__()
        self.second, self.first, self.idle = nn.Linear(4, 3), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.second(self.first(x).relu())


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (mlp((5, 4, 3), generator=seeded()), (2, 5)),
        (cnn(generator=seeded()), (2, 1, 8, 8)),
        (resnet20(generator=seeded()), (2, 3, 32, 32)),
        (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 3))), (2, 5)),
        (nn.Linear(5, 3), (2, 5)),
    ],
    ids=["mlp", "cnn", "resnet20", "sequence", "layer"],
)
def test_oracle_the_name_is_that_of_the_layer_that_spoke_last(model, shape):
    x = torch.rand(shape, generator=seeded(), dtype=next(model.parameters()).dtype)
    assert last_linear(model, x) == readout_name(model)
    assert readout_of(model).out_features == model.eval()(x).shape[-1]


def test_limit_only_a_run_tells_which_layer_speaks_last():
    assert last_linear(Backwards(), torch.ones(2, 5)) == "second"
    assert readout_name(Backwards()) == "idle"


def test_property_the_network_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert last_linear(model, torch.ones(2, 5)) == "2"
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(RuntimeError, match="shape"):
        last_linear(model, torch.ones(2, 6))
    assert not any(module._forward_hooks for module in model.modules())


def test_error_a_network_that_says_more_than_its_last_layer():
    for end in (nn.ReLU(), nn.Softmax(1)):
        with pytest.raises(ParameterError, match=r"straight from an nn.Linear.*end the network with its logits"):
            last_linear(nn.Sequential(healthy("mlp"), end), torch.ones(2, 64, dtype=torch.float64))
