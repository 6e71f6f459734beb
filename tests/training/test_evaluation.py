import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp, resnet20
from weightlore.training import cross_entropy, evaluate, in_mode


def test_oracle_loss_and_accuracy_by_hand():
    model = nn.Linear(2, 3, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    data = Split(torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]).double(), torch.tensor([0, 1, 2]))
    sums = torch.tensor([[2.0, 0, 0], [0, 1.0, 0], [3.0, 0, 0]]).double().exp().sum(1).log()
    found = evaluate(model, data)
    assert found.loss == pytest.approx(((sums[0] - 2) + (sums[1] - 1) + sums[2]).item() / 3)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.count == 3
    step = cross_entropy(model, data, torch.Generator())
    assert step.item() == pytest.approx(found.loss)
    assert step.requires_grad


@pytest.mark.parametrize("batch_size", [1, 7, 540, 10_000])
def test_property_batches_do_not_matter(batch_size):
    whole, parts = evaluate(healthy(), digits()), evaluate(healthy(), digits(), batch_size=batch_size)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert parts.accuracy == whole.accuracy


def test_property_evaluates_in_eval_mode_and_leaves_every_mode_as_found(generator):
    model = resnet20(width=2, generator=generator).train()
    model.stem_norm.eval()  # frozen on its own
    modes = [module.training for module in model.modules()]
    mean = model.blocks[0].norm1.running_mean.clone()
    data = Split(torch.rand(4, 3, 8, 8, generator=generator), torch.tensor([0, 1, 2, 3]))
    found = evaluate(model, data)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.blocks[0].norm1.running_mean, mean)
    assert found == evaluate(model.eval(), data)


def fail_in_train_mode(model):
    assert all(module.training for module in model.modules())
    raise RuntimeError("inside")


def test_property_modes_come_back_after_an_exception(generator):
    model = mlp(generator=generator).eval()
    model.layers[0].train()
    modes = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError, match="inside"), in_mode(model, training=True):
        fail_in_train_mode(model)
    assert [module.training for module in model.modules()] == modes


def test_limit_a_diverged_model_has_a_loss_that_is_no_number():
    model = healthy()
    with torch.no_grad():
        model.readout.weight.fill_(float("inf"))
    found = evaluate(model, digits())
    assert not found.loss < float("inf")
    assert 0 <= found.accuracy <= 1


def bad(case):
    good = digits("validation")
    return {
        "empty": good[:0],
        "nan": Split(torch.full_like(good.x, float("nan")), good.y),
        "dtype": good.to(dtype=torch.float32),
        "device": Split(good.x.to("meta"), good.y),
        "targets": Split(good.x, good.y.double()),
        "shape": Split(good.x, good.y[:, None]),
        "left out": Split(good.x, torch.where(good.y == 3, -100, good.y)),
    }[case]


SAID = {
    "empty": "at least one example, got none",
    "nan": "inputs of data must be finite, but 11520 of its 11520",
    "dtype": r"computes in torch.float64, but data are torch.float32; use data.to\(dtype=torch.float64\)",
    "device": r"model is on cpu, but data on meta \(x\) and cpu \(y\); use data.to\(device='cpu'\)",
    "targets": r"class numbers y of shape \(N,\), int64, got \(180,\), torch.float64",
    "shape": r"class numbers y of shape \(N,\), int64, got \(180, 1\)",
    "left out": "class numbers of data must be >= 0, got -100",
}


@pytest.mark.parametrize("case", SAID)
def test_error_data_that_the_model_cannot_read(case):
    with pytest.raises(ParameterError, match=SAID[case]):
        evaluate(healthy(), bad(case))


def test_error_batch_size():
    with pytest.raises(ParameterError, match="batch_size must be at least 1, got 0"):
        evaluate(healthy(), digits(), batch_size=0)


def test_limit_a_model_without_parameters_reads_everything():
    data = Split(torch.eye(3), torch.arange(3))
    assert evaluate(nn.Identity(), data).accuracy == 1.0
