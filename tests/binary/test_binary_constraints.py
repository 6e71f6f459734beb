"""The design of networks that spike well: who keeps to it, and every way in which others do not."""

import pytest
import torch
from torch import nn

from weightlore.binary import design_violations, require_design
from weightlore.errors import ParameterError
from weightlore.networks import healthy, resnet20, vgg15


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_property_the_design_is_kept_by_networks_made_for_it():
    assert design_violations(healthy("biasless")) == ()
    assert design_violations(vgg15(generator=seeded(), width=2)) == ()
    require_design(healthy("biasless"))


def test_property_every_violation_is_listed():
    rules = [str(v) for v in design_violations(healthy("cnn"))]
    assert [r.partition(":")[0] for r in rules] == [
        "layers.0",
        "entries.1",
        "layers.1",
        "entries.2",
        "layers.2",
        "readout",
    ]
    assert "constant current" in rules[0]
    assert "stands after it" in rules[1]
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 2)]
    found = design_violations(nn.Sequential(*layers))
    assert [v.layer for v in found] == ["0", "1", "2", "3", "4", "5"]
    assert [v.fatal for v in found] == [False, False, False, True, False, False]
    assert design_violations(nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Dropout(0.2))) == ()
    residual = design_violations(resnet20(generator=seeded(), width=2))
    assert sum("shortcut" in str(v) and "no shortcut" in v.rule for v in residual) == 9
    assert sum("batch normalization" in v.rule for v in residual) == 21
    assert residual[-1].layer == "readout"


def test_error_the_design_names_everything():
    with pytest.raises(ParameterError, match=r"in 6 places(?s:.*)layers.0(?s:.*)readout"):
        require_design(healthy("cnn"))
    with pytest.raises(ParameterError, match=r"an nn\.Sequential can be made to spike"):
        design_violations(nn.ReLU())
