"""Two recurrent networks joined by units at every step: special cases, padding, caching, gates over time."""

from functools import partial

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits, encode, vocabulary
from weightlore.errors import ParameterError
from weightlore.networks import mlp, recurrent, sequence
from weightlore.training import cross_entropy, fit, sgd
from weightlore.transfer import (
    PTU,
    Adapter,
    HardConcrete,
    PTURecurrent,
    cached,
    gate_adam,
    gate_statistics,
    gate_table,
    gate_times,
    gates_over_time,
    transfer_step,
    translated,
    translation,
)

CELLS = (("rnn", "hidden"), ("gru", "hidden"), ("lstm", "hidden"), ("lstm", "both"))
SHAPES = ((1, False), (2, False), (2, True))
LENGTHS = (6, 2, 4, 5)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def reader(kind, seed, *, hidden=4, layers=2, bidirectional=False, classes=3, dtype=torch.float64):
    """Return a network that reads tokens, with biases that are not zero."""
    sizes = {"vocabulary": 12, "embedding": 3, "hidden": hidden, "classes": classes, "layers": layers}
    made = recurrent(kind, **sizes, bidirectional=bidirectional, generator=seeded(seed), dtype=dtype)
    return shaken(made, seed + 50, 0.3)


def shaken(model, seed, size=1.0):
    """Add noise to all parameters."""
    g = seeded(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=g, dtype=parameter.dtype))
    return model


def sentences(seed=1, lengths=LENGTHS):
    x = torch.randint(1, 12, (len(lengths), 6), generator=seeded(seed))
    return torch.where(torch.arange(6) < torch.tensor(lengths)[:, None], x, 0)


def joined(kind="gru", memory="hidden", layers=2, bidirectional=False, noise=1.0, **options):
    """Return source, target and both joined, with units and adapters anywhere."""
    shape = {"layers": layers, "bidirectional": bidirectional}
    source, target = reader(kind, 1, **shape), reader(kind, 2, classes=2, **shape)
    net = PTURecurrent(source, target, sentences(), memory=memory, generator=seeded(), **options)
    shaken(net.units, 5, noise)
    return source, target, net


@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_shut_gates_give_the_sources_states_bit_for_bit(kind, memory, layers, bidirectional):
    source, target, net = joined(kind, memory, layers, bidirectional)
    x = sentences()
    net.force(z=0.0)
    for ours, theirs in zip(net.activations(x), source.activations(x), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(net(x), target.head(source.activations(x)[-1]))


@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_open_gates_without_reuse_give_the_target_bit_for_bit(kind, memory, layers, bidirectional):
    _, target, net = joined(kind, memory, layers, bidirectional)
    x = sentences()
    net.force(z=1.0, r=0.0)
    for ours, theirs in zip(net.activations(x), target.activations(x), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(net(x), target(x))
    net.force()
    assert not torch.equal(net(x), target(x))


@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_shut_below_and_open_above_is_the_source_shared_below_the_target(kind, memory):
    source, target, net = joined(kind, memory)
    x = sentences()
    net.force(z=0.0, layers=[0])
    net.force(z=1.0, r=0.0, layers=[1])
    h = target.phi(1)(target.pre(1, source.activations(x)[0]))
    assert torch.equal(net(x), target.head(h))


def test_property_the_memory_of_an_lstm_is_the_sources_or_its_own():
    x = sentences()
    for memory in ("hidden", "both"):
        source, target, net = joined("lstm", memory, layers=1)
        walked = []
        for t in range(6):  # shut until step t, then open: what the cell remembers shows
            net.force(z=0.0)
            part = x[:1, : t + 1]
            cell, drive = target.layers[0], target.pre(0, part)[..., :-1]
            theirs = source.layers[0].walk(source.pre(0, part)[..., :-1], part[..., None] > 0)
            h, m = theirs[0][t - 1] if t else torch.zeros(1, 4, dtype=torch.float64), None
            own = torch.zeros(1, 4, dtype=torch.float64)
            for step in range(t):
                before = theirs[0][step - 1] if step else torch.zeros(1, 4, dtype=torch.float64)
                own = cell.step(drive[:, step], before, own)[1]
            m = own if memory == "hidden" else (theirs[1][t - 1] if t else own)
            wanted = cell.step(drive[:, t], h, m)[0]
            found = switched(net, part, t)
            walked.append(torch.allclose(found, wanted, rtol=0, atol=1e-14))
        assert all(walked)


def switched(net, x, t):
    """Return the state of step t, for a unit that is shut before it and open at it."""
    unit, count = net.units["0"], iter(range(99))
    unit.force(r=0.0)
    unit.squash = lambda logits: torch.full_like(logits, float(next(count) >= t))
    return net.activations(x)[0][:, t, :-1]


@pytest.mark.parametrize("gate", ["scalar", "channel", "channel-diag", "dense"])
@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_oracle_one_step_is_the_unit_for_vectors(kind, memory, gate):
    source, target, net = joined(kind, memory, layers=1, unit=partial(PTU, gate=gate))
    x = torch.tensor([[3], [7], [11]])
    s = source.activations(x)[0][:, 0, :-1]
    drive, cell, zero = target.pre(0, x)[:, 0, :-1], target.layers[0], torch.zeros(3, 4, dtype=torch.float64)
    a = drive + cell.recur(zero) if kind == "rnn" else cell.step(drive, zero, zero)[0]
    torch.testing.assert_close(net(x), target.readout(net.units["0"](s, a)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_causal(kind, memory):
    _, _, net = joined(kind, memory)
    x = sentences(lengths=(6, 6, 6))
    other = x.clone()
    other[:, 4:] = 12 - other[:, 4:]
    for one, two in zip(net.activations(x), net.activations(other), strict=True):
        assert torch.equal(one[:, :4], two[:, :4])
        assert not torch.equal(one[:, 4], two[:, 4])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_padding_changes_nothing_wherever_it_stands(kind, memory, bidirectional):
    _, _, net = joined(kind, memory, bidirectional=bidirectional)
    x, gap = sentences(lengths=(6, 6, 6)), torch.zeros(3, 2, dtype=torch.int64)
    padded = torch.cat([gap, x[:, :3], gap, x[:, 3:], gap], dim=1)
    torch.testing.assert_close(net(padded), net(x), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        for stream in (net.source, net.target):
            stream.embedding.weight[0] = 1e3
    torch.testing.assert_close(net(padded), net(x), rtol=1e-12, atol=1e-12)


def test_property_at_padding_the_state_is_held():
    _, _, net = joined("gru")
    x = sentences(lengths=(6, 2, 4))
    for h in net.activations(x):
        assert torch.equal(h[1, 2:, :-1], h[1, 1:2, :-1].expand(4, -1))
        assert torch.equal(h[2, 4:, :-1], h[2, 3:4, :-1].expand(2, -1))


@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_property_two_equal_streams_are_one_whatever_the_gates(kind, layers, bidirectional):
    source = reader(kind, 1, layers=layers, bidirectional=bidirectional)
    memory = "both" if kind == "lstm" else "hidden"
    net = PTURecurrent(source, source, sentences(), memory=memory, generator=seeded())
    for unit in net.units.values():
        shaken(unit.gates, 3)  # U stays zero
    torch.testing.assert_close(net(sentences()), source(sentences()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_oracle_gradcheck(kind, memory):
    source, target = (reader(kind, seed, hidden=2, layers=1, bidirectional=True) for seed in (1, 2))
    net = PTURecurrent(source, target, sentences(), memory=memory, joint=True, generator=seeded())
    shaken(net.units, 5)
    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in net.named_parameters()), strict=True)
    wanted = [place for place, name in enumerate(names) if "embedding" not in name and name != "source.readout.weight"]

    def function(*some):
        given = list(values)
        for place, value in zip(wanted, some, strict=True):
            given[place] = value
        return torch.func.functional_call(net, dict(zip(names, given, strict=True)), (sentences()[:2],))

    assert torch.autograd.gradcheck(function, tuple(values[place] for place in wanted), fast_mode=True)


def test_property_at_a_copy_without_injection_gates_have_no_gradient_until_the_streams_part():
    source = reader("gru", 1)
    net = PTURecurrent(source, source, sentences(), unit=partial(PTU, bias_update=0.0), generator=seeded())
    data, named = Split(sentences(), torch.tensor([0, 1, 2, 0])), dict(net.named_parameters())
    cross_entropy(net, data, seeded()).backward()
    gates = [named[name].grad for name in named if ".gates." in name]
    assert max(float(g.abs().max()) for g in gates) < 1e-15
    assert named["units.0.inject"].grad.abs().max() > 1e-6
    net.zero_grad()
    fit(net, data, generator=seeded(), epochs=2, optimizer=sgd(0.5))
    cross_entropy(net, data, seeded()).backward()
    assert max(float(named[name].grad.abs().max()) for name in named if ".gates." in name) > 1e-5


@pytest.mark.parametrize("start", ["copy", "other"])
def test_property_open_units_train_as_the_target_alone_does(start):
    source = reader("lstm", 1)
    target = source if start == "copy" else reader("lstm", 2)
    net = PTURecurrent(source, target, sentences(), generator=seeded())
    net.force(z=1.0, r=0.0)
    data, alone = Split(sentences(), torch.tensor([0, 1, 2, 0])), reader("lstm", 1 if start == "copy" else 2)
    for model in (net, alone):
        fit(model, data, generator=seeded(3), epochs=5, batch_size=2, optimizer=sgd(0.1, momentum=0.9))
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(net.target.get_parameter(name), parameter, rtol=0, atol=1e-12)


def test_property_nothing_moves_a_frozen_source_nor_what_was_given():
    source, target = reader("gru", 1), reader("gru", 2)
    given = [{k: v.clone() for k, v in m.state_dict().items()} for m in (source, target)]
    net = PTURecurrent(source, target, sentences(), generator=seeded())
    net.train()
    assert not any(module.training for module in net.source.modules())
    fit(net, Split(sentences(), torch.tensor([0, 1, 2, 0])), generator=seeded(), epochs=3)
    for network, before in ((source, given[0]), (target, given[1]), (net.source, given[0])):
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(p.requires_grad for p in net.source.parameters())
    assert all(p.requires_grad for p in source.parameters())
    assert not torch.equal(net.target.embedding.weight, target.embedding.weight)


def test_property_a_joint_source_learns_from_both_tasks():
    source, target = reader("gru", 1), reader("gru", 2)
    net = PTURecurrent(source, target, sentences(), joint=True, generator=seeded())
    data = Split(sentences(), torch.tensor([0, 1, 2, 0]))
    cross_entropy(net, data, seeded()).backward()
    assert net.source.layers[0].weight_hh.grad.any()
    assert net.source.readout.weight.grad is None
    net.zero_grad()
    before = net.source.readout.weight.clone()
    theirs = Split(sentences(7), torch.tensor([2, 1, 0, 0]))
    fit(net, data, generator=seeded(), epochs=2, step=transfer_step(joint=theirs, share=0.5, batch_size=3))
    assert not torch.equal(net.source.readout.weight, before)
    assert torch.equal(net.forward_source(theirs.x), net.source(theirs.x))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "memory"), CELLS)
def test_property_cached_states_give_the_same_logits_and_the_same_training(kind, memory, bidirectional):
    data, weights = Split(sentences(), torch.tensor([0, 1, 1, 0])), []
    _, _, net = joined(kind, memory, bidirectional=bidirectional, noise=0.3)
    fast, (packed,) = cached(net, data)
    assert torch.equal(fast(packed.x), net(data.x))
    for quick in (False, True):
        _, _, net = joined(kind, memory, bidirectional=bidirectional, noise=0.3)
        fast, (packed,) = cached(net, data)
        fit(fast if quick else net, packed if quick else data, generator=seeded(), epochs=3, batch_size=4)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    torch.testing.assert_close(*weights, rtol=0, atol=1e-12)


def test_limit_packed_tokens_survive_single_precision():
    words = {str(number): number for number in range(2, 5000)}
    sizes = {"vocabulary": 5000, "embedding": 2, "hidden": 3, "classes": 2}
    source = recurrent("gru", **sizes, generator=seeded())
    x = torch.tensor([[4999, 4998, 4097], [2, 0, 0]])
    net = PTURecurrent(source, source, x, generator=seeded())
    fast, (packed,) = cached(net, Split(x, torch.tensor([0, 1])))
    assert len(words) + 2 == 5000
    assert packed.x.dtype == torch.float32
    assert torch.equal(fast(packed.x), net(x))


def test_property_digit_rows_as_steps_and_a_source_of_another_size():
    images = digits("validation")[:40]
    x = images.x.reshape(-1, 8, 8).float()
    source = sequence("rnn", inputs=8, hidden=12, classes=10, generator=seeded())
    target = sequence("gru", inputs=8, hidden=6, classes=10, generator=seeded(1))
    net = PTURecurrent(source, target, x, generator=seeded(2), source_input=partial(torch.flip, dims=(1,)))
    p = torch.eye(6, 12)
    assert torch.equal(net.adapters["0"].weight, p)
    net.force(z=0.0)
    found = net.activations(x)[0][..., :-1]
    assert torch.equal(found, source.activations(x.flip(1))[0][..., :-1] @ p.T)
    net.force()
    history = fit(net, Split(x, images.y), generator=seeded(), epochs=3, optimizer=gate_adam(net, 1e-2))
    assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.parametrize("start", ["orthogonal", "principal"])
def test_property_adapters_see_words_alone(start):
    source, target = reader("lstm", 1, hidden=7), reader("lstm", 2, hidden=3)
    make = partial(Adapter, start=start, learn=False)
    x = sentences()
    nets = [
        PTURecurrent(source, target, rows, adapter=make, memory="both", generator=seeded())
        for rows in (x, torch.cat([x, torch.zeros_like(x)], dim=1))
    ]
    for name in nets[0].adapters:
        torch.testing.assert_close(nets[0].adapters[name].weight, nets[1].adapters[name].weight)
        rows = nets[0].adapters[name].weight
        torch.testing.assert_close(rows @ rows.T, torch.eye(3, dtype=torch.float64))
    assert not any(p.requires_grad for p in nets[0].adapters.parameters())
    assert torch.equal(*(net(x) for net in nets)) or start == "principal"


def test_property_pairs_name_the_layers_that_carry_units():
    source, target = reader("gru", 1, layers=3), reader("gru", 2, layers=2)
    net = PTURecurrent(source, target, sentences(), pairs={1: 2}, generator=seeded())
    assert list(net.units) == ["1"]
    net.force(z=0.0)
    states = net.activations(sentences())
    assert torch.equal(states[0], target.activations(sentences())[0])
    assert torch.equal(states[1], source.activations(sentences())[2])


def test_property_the_source_reads_another_vocabulary():
    movies, phones = ("a good film", "a bad plot , a bad film"), ("good phone", "a bad battery in it")
    theirs, ours = vocabulary(movies), vocabulary(phones)
    sizes = {"embedding": 3, "hidden": 4, "classes": 2}
    source = recurrent("lstm", vocabulary=len(theirs) + 2, **sizes, generator=seeded())
    x, y = encode(phones, ours, 6), encode(phones, theirs, 6)
    target = translated(source, theirs, ours, generator=seeded(1))
    looked = translation(theirs, ours).__getitem__
    nets = [
        PTURecurrent(translated(source, theirs, ours), target, x, generator=seeded()),
        PTURecurrent(source, target, x, source_input=looked, generator=seeded()),
    ]
    for net in nets:
        net.force(z=0.0)
        assert torch.equal(net(x), target.head(source.activations(y)[-1]))


def test_property_gates_over_time_are_those_of_the_words():
    _, _, net = joined("lstm", bidirectional=True)
    data = Split(sentences(), torch.tensor([0, 1, 1, 0]))
    found, table = gates_over_time(net, data.x), gate_table(net, data)
    assert found.units == table.units == ("units.0", "units.0_reverse", "units.1", "units.1_reverse")
    assert torch.equal(found.words, data.x != 0)
    for number, gate in enumerate(found.update):
        means = torch.stack([gate[n, : LENGTHS[n]].mean(0) for n in range(4)])
        torch.testing.assert_close(table.update[number][:, 0], means[[0, 3]].mean(0))
        torch.testing.assert_close(table.update[number][:, 1], means[[1, 2]].mean(0))
    times = gate_times(net, data, batch_size=3)
    assert times.count.tolist() == [[2, 2], [2, 2], [2, 1], [2, 1], [2, 0], [1, 0]]
    gate = found.reuse[2]
    torch.testing.assert_close(times.reuse[2][4, :, 0], gate[[0, 3], 4].mean(0))
    torch.testing.assert_close(times.reuse[2][2, :, 1], gate[2, 2])
    assert times.reuse[2][4, :, 1].isnan().all()
    torch.testing.assert_close(times.by_step()["units.1"][1][3], gate[[0, 2, 3], 3].mean())


def test_property_gate_means_do_not_depend_on_padding():
    _, _, net = joined("gru")
    x = sentences()
    wide = torch.cat([x, torch.zeros_like(x)], dim=1)
    for one, two in zip(gate_statistics(net, x), gate_statistics(net, wide), strict=True):
        assert one.unit == two.unit
        y = torch.zeros(4, dtype=torch.int64)
        assert one.mean == pytest.approx(two.mean)
        tables = [gate_table(net, Split(rows, y)) for rows in (x, wide)]
        torch.testing.assert_close(tables[0].update, tables[1].update)
    steps = [transfer_step(prior=2.0)(net, Split(rows, torch.tensor([0, 1, 1, 0])), seeded()) for rows in (x, wide)]
    torch.testing.assert_close(*steps)


def test_oracle_the_prior_is_the_mean_of_the_update_gates():
    _, _, net = joined("gru")
    data = Split(sentences(), torch.tensor([0, 1, 1, 0]))
    costly = transfer_step(prior=2.0)(net, data, seeded())
    found = gates_over_time(net, data.x)
    means = [torch.stack([z[n, : LENGTHS[n]].mean() for n in range(4)]).mean() for z in found.update]
    torch.testing.assert_close(costly, cross_entropy(net, data, seeded()) + 2.0 * torch.stack(means).mean())
    costly.backward()
    assert net.units["0"].gates.bias.grad.any()


@pytest.mark.parametrize("useful", [True, False])
def test_property_gates_shut_where_the_source_suffices_and_open_where_it_is_noise(useful):
    source, target = reader("gru", 1, layers=1), reader("gru", 9, layers=1)
    x = torch.randint(1, 12, (60, 5), generator=seeded(4))
    y = (source if useful else target)(x).argmax(1)
    with torch.no_grad():
        target.readout.load_state_dict((source if useful else target).readout.state_dict())
    net = PTURecurrent(source, target, x, unit=partial(PTU, bias_update=0.0), generator=seeded())
    fast, (packed,) = cached(net, Split(x, y))
    before = float(gates_over_time(net, x).update[0].mean())
    step = transfer_step(prior=1.0 if useful else 0.0)
    fit(fast, packed, generator=seeded(), epochs=30, step=step, optimizer=gate_adam(net, 2e-2))
    after = float(gates_over_time(net, x).update[0].mean())
    assert after < before - 0.1 if useful else after > before + 0.1


def test_property_random_gates_draw_from_the_steps_generator():
    found = []
    for _ in range(2):
        _, _, net = joined("gru", unit=partial(PTU, squash=HardConcrete()))
        fit(net, Split(sentences(), torch.tensor([0, 1, 1, 0])), generator=seeded(), epochs=2, step=transfer_step())
        found.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*found)
    with pytest.raises(ParameterError, match="transfer_step"):
        net.train()(sentences())


def test_property_state_dict_round_trip_and_same_seed_same_network():
    _, _, net = joined("lstm", "both", bidirectional=True)
    other = joined("lstm", "both", bidirectional=True, noise=0.0)[2]
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(sentences()), net(sentences()))
    twins = [joined("lstm", noise=0.0)[2].state_dict() for _ in range(2)]
    assert all(torch.equal(twins[0][name], twins[1][name]) for name in twins[0])


def test_limit_one_step_one_example_and_no_padding_in_double_and_single():
    for dtype in (torch.float32, torch.float64):
        source = reader("gru", 1, dtype=dtype)
        net = PTURecurrent(source, source, torch.tensor([[3]]), generator=seeded())
        assert net(torch.tensor([[5]])).shape == (1, 3)
        assert net(torch.tensor([[5]])).dtype == dtype


def test_error_empty_sequences():
    _, _, net = joined()
    x = sentences()
    x[2] = 0
    with pytest.raises(
        ParameterError, match=r"1 of 4 sequences hold nothing but padding, the first is number 2; leave"
    ):
        net(x)
    with pytest.raises(ParameterError, match="leave empty ones out"):
        net(x[:, :0])
    with pytest.raises(ParameterError, match="nothing but padding"):
        PTURecurrent(net.source, net.target, x, generator=seeded())
    rows = sequence("rnn", inputs=2, hidden=2, classes=2, generator=seeded())
    both = PTURecurrent(rows, rows, torch.ones(2, 3, 2), generator=seeded())
    with pytest.raises(ParameterError, match="leave empty sequences out"):
        both(torch.ones(2, 0, 2))
    with pytest.raises(ParameterError, match="2 of 2 sequences"):
        both(torch.zeros(2, 3, 3))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": reader("gru", 2, layers=3)}, "the source has 2 layers and the target 3"),
        ({"target": reader("gru", 2, bidirectional=True)}, "same directions, got 1 for the source and 2"),
        ({"target": reader("gru", 2, dtype=torch.float32)}, "one dtype"),
        ({"target": mlp((4, 3), generator=seeded())}, "the target must be a network of .* got a Chain; .* PTUNet"),
        ({"target": sequence("gru", inputs=3, hidden=4, classes=2, layers=2, generator=seeded(), dtype=torch.float64)},
         "tokens of a vocabulary of 12 and the target vectors of 3 features"),
        ({"target": recurrent("gru", vocabulary=9, embedding=3, hidden=4, classes=2, layers=2, generator=seeded(),
                              dtype=torch.float64)}, "vocabulary of 12 and the target tokens .* of 9; translated"),
        ({"memory": "both"}, r"memory='both' blends the memories of two LSTM, got .* 'gru'"),
        ({"memory": "none"}, "memory must be one of 'hidden', 'both'"),
        ({"pairs": {0: 5}}, "pairs go from a layer"),
        ({"pairs": {}}, "pairs is empty"),
        ({"source_input": lambda x: x[:, :3]}, "same steps, got 11 in .* and 17 in"),
        ({"source_input": lambda x: x.flip(1)}, "keep steps and padding"),
    ],
)  # fmt: skip
def test_error_networks_that_cannot_be_aligned(options, said):
    target = options.pop("target", None) or reader("gru", 2)
    with pytest.raises(ParameterError, match=said):
        PTURecurrent(reader("gru", 1), target, sentences(), **options, generator=seeded())


def test_error_options():
    plain = reader("rnn", 1)
    with pytest.raises(ParameterError, match="clamp=True is for GRU and LSTM"):
        PTURecurrent(plain, plain, sentences(), clamp=True, generator=seeded())
    net = PTURecurrent(plain, plain, sentences(), joint=True, generator=seeded())
    with pytest.raises(ParameterError, match="layer 2 carries no unit; those with one are 0, 1"):
        net.force(z=0.0, layers=[2])
    with pytest.raises(ParameterError, match="a gate is a share"):
        net.force(z=1.1)
    with pytest.raises(ParameterError, match="only joint=False can be cached"):
        cached(net, Split(sentences(), torch.tensor([0, 1, 1, 0])))
    with pytest.raises(ParameterError, match="a PTUNet has a gate_table"):
        gates_over_time(nn.Linear(1, 1), sentences())
