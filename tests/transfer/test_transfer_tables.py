"""What the gates do, as numbers."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import adam, fit
from weightlore.transfer import PTU, GateRecord, PTUNet, cached, gate_statistics, gate_table, listening

KINDS = ("scalar", "channel", "channel-diag", "channel-pooled", "dense")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def joined(kind="dense", form="cnn"):
    make = partial(cnn, (3, 4), image=(1, 8, 8), hidden=5, classes=3) if form == "cnn" else partial(mlp, (64, 5, 4, 3))
    x = torch.rand(11, 64, generator=seeded(3), dtype=torch.float64)
    net = PTUNet(
        make(generator=seeded(1)), make(generator=seeded(2)), x, unit=partial(PTU, gate=kind), generator=seeded()
    )
    with torch.no_grad():
        for unit in net.units.values():
            for parameter in unit.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=seeded(8), dtype=parameter.dtype))
    return net, Split(x, torch.tensor([0, 1, 3] * 3 + [0, 3]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["cnn", "mlp"])
def test_oracle_table_by_layer_channel_and_class(kind, form):
    net, data = joined(kind, form)
    table = gate_table(net, data, batch_size=4)
    assert table.units == tuple(f"units.{layer}" for layer in range(len(net.units)))
    assert table.count.tolist() == [4, 3, 0, 4]
    with listening(net) as heard, torch.no_grad():
        net.eval()(data.x)
    for place, name in enumerate(table.units):
        for found, gate in zip((table.update, table.reuse), heard[name][0], strict=True):
            gate = gate.flatten(2).mean(2) if gate.ndim == 4 else gate
            for label in (0, 1, 3):
                torch.testing.assert_close(found[place][:, label], gate[data.y == label].mean(0), rtol=1e-12, atol=0)
            assert bool(found[place][:, 2].isnan().all()), "no example of class 2"


def test_property_rows_and_means_of_a_table():
    net, data = joined()
    table = gate_table(net, data)
    rows = table.rows()
    assert len(rows) == (3 + 4 + 5) * 4
    assert rows[0][:3] == ("units.0", 0, 0)
    assert rows[0][3:] == (float(table.update[0][0, 0]), float(table.reuse[0][0, 0]))
    assert sum(math.isnan(row[3]) for row in rows) == 12
    means = table.by_unit()
    statistics = {(s.unit, s.gate): s.mean for s in gate_statistics(net, data.x)}
    for name in table.units:
        assert means[name] == pytest.approx((statistics[name, "update"], statistics[name, "reuse"]), rel=1e-12)


def test_oracle_statistics():
    net, data = joined()
    found = gate_statistics(net, data.x)
    with listening(net) as heard, torch.no_grad():
        net.eval()(data.x)
    assert [(s.unit, s.gate) for s in found][:3] == [("units.0", "update"), ("units.0", "reuse"), ("units.1", "update")]
    z = heard["units.1"][0][0]
    one = found[2]
    assert one.mean == pytest.approx(z.mean().item())
    assert one.spread == pytest.approx(z.std(correction=0).item())
    assert (one.lowest, one.highest) == (z.min().item(), z.max().item())
    assert one.shut == pytest.approx((z < 0.1).double().mean().item())
    assert one.open == pytest.approx((z > 0.9).double().mean().item())


def test_property_forced_gates_show_what_was_forced():
    net, data = joined()
    net.force(z=0.25, r=1.0)
    assert {(s.gate, s.mean, s.spread) for s in gate_statistics(net, data.x)} == {
        ("update", 0.25, 0),
        ("reuse", 1.0, 0),
    }


def test_property_the_network_is_left_in_its_mode_and_a_cached_one_will_do():
    net, data = joined()
    net.train()
    fast, (packed,) = cached(net, data)
    one, other = gate_table(net, data), gate_table(fast, packed)
    assert net.target.training
    assert other.units == tuple(f"net.{name}" for name in one.units)
    torch.testing.assert_close(one.update, other.update, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_property_a_record_of_training():
    net, data = joined("channel")
    data = Split(data.x, data.y.clamp(max=2))
    record = GateRecord(net, data.x)
    start = gate_statistics(net, data.x)
    fit(net, data, generator=seeded(), epochs=4, optimizer=adam(0.05), callbacks=[record])
    assert len(record.epochs) == 5
    assert record.epochs[0] == start
    assert record.epochs[-1] == gate_statistics(net, data.x)
    means = record.means("units.1")
    assert len(means) == 5
    assert means[0] != means[-1]
    assert record.means("units.1", "reuse") != means
    assert record.means("units.7") == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gate_table(nn.Linear(64, 3).double(), joined()[1]), "a Linear has no transfer units"),
        (lambda: gate_statistics(nn.Linear(64, 3).double(), joined()[1].x), "no transfer units"),
        (lambda: gate_table(joined()[0], joined()[1][:0]), "at least one example"),
        (lambda: gate_table(joined()[0], Split(joined()[1].x, joined()[1].x)), "class numbers"),
        (lambda: gate_statistics(joined()[0], joined()[1].x / 0), "NaN or infinite"),
        (lambda: gate_statistics(joined()[0], joined()[1].x.float()), "float64"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
