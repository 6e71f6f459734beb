"""Bit planes that vanish together, and digits with a sign: by loops, and by autograd through the bits."""

import pytest
import torch
from torch import nn

from weightlore.bitslice import (
    FixedPoint,
    Point,
    bit_lasso_penalty,
    charged_step,
    densities,
    nonzero_ratios,
    quantize,
    recoded_ratios,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import fit, sgd


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(**options):
    return FixedPoint(mlp((64, 8, 10), generator=seeded()), **options)


def test_property_ratios_of_both_ways_to_write():
    codes = torch.tensor([63, 63, 0, 1])
    found = recoded_ratios(codes)
    assert found.plain.tolist() == [75, 50, 50, 0]
    assert found.signed.tolist() == [75, 0, 0, 50, 0]
    assert found.plain_digits == 1.75
    assert found.signed_digits == 1.25
    model = small()
    joined = torch.cat([q.code.flatten() for q in model.codes().values()])
    assert torch.equal(recoded_ratios(model).signed, recoded_ratios(joined).signed)
    assert torch.equal(recoded_ratios(model).plain, nonzero_ratios(model).slices)


def test_oracle_the_lasso_is_the_norms_of_the_planes_and_its_gradient_is_autograd():
    model = small().train()
    value = bit_lasso_penalty(2.0)(model)
    value.backward()
    size, expected = 610, 0.0
    for p in model.quantized().values():
        w = p.detach().clone().requires_grad_()
        found = quantize(w.detach())
        exact = w.abs() / found.step
        rest = exact + (found.code.abs() - exact).detach()
        total = torch.zeros((), dtype=torch.float64)
        for bit in reversed(range(8)):
            plane = rest / 2**bit
            plane = plane + (plane.floor() - plane).detach()
            rest = rest - plane.detach() * 2**bit
            total = total + (plane.square().sum().sqrt() if plane.any() else 0.0)
        part = 2.0 / (8 * size) * w.numel() ** 0.5 * total
        if part.requires_grad:  # biases are zero
            part.backward()
        expected += float(torch.as_tensor(part).detach())
        w.grad = torch.zeros_like(w) if w.grad is None else w.grad
        torch.testing.assert_close(p.grad, w.grad, rtol=1e-9, atol=1e-15)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_property_the_lasso_empties_bits():
    ends = {}
    for name, penalty in {"none": None, "lasso": bit_lasso_penalty(1.0)}.items():
        model = small()
        step, tuner = charged_step(penalty), sgd(0.05, momentum=0.9)
        fit(model, digits("train")[:256], step=step, generator=seeded(), epochs=15, optimizer=tuner)
        ends[name] = nonzero_ratios(list(model.codes().values()), cell_bits=1).mean
    assert ends["lasso"] < 0.8 * ends["none"]
    assert bit_lasso_penalty(0.0) is None


def test_property_methods_are_compared_seed_by_seed():
    def point(method, seed, accuracy, density):
        return Point(method, 1.0, seed, 1, accuracy, None, (density,) * 4, density, (1,) * 4)

    points = [point("pruned", 0, 0.9, 9.0), point("a", 0, 0.9, 2.0), point("a", 0, 1.0, 4.0), point("b", 1, 0.9, 7.0)]
    assert densities(points, 0.95) == {"a": {0: pytest.approx(3.0)}, "b": {1: None}}


def test_limit_nothing_stored():
    assert recoded_ratios(torch.zeros(3, dtype=torch.int64)).signed_digits == 0
    model = small().train()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert bit_lasso_penalty(1.0)(model) == 0


def test_error_arguments():
    with pytest.raises(ParameterError, match="end at 255"):
        recoded_ratios(torch.tensor([300]))
    with pytest.raises(ParameterError, match="cell_bits=4"):
        recoded_ratios(small(cell_bits=4))
    with pytest.raises(ParameterError, match=r"train FixedPoint\(model\)"):
        bit_lasso_penalty(1.0)(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="finite number >= 0"):
        bit_lasso_penalty(-1.0)
