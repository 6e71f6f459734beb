import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from weightlore.errors import ParameterError
from weightlore.networks import recurrent, sequence
from weightlore.parameters import layout

KINDS = ("rnn", "gru", "lstm")
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
SIZES = {"vocabulary": 20, "embedding": 4, "hidden": 5, "classes": 3}
LENGTHS = (6, 1, 4, 3)


def sentences(generator):
    x = torch.randint(1, 20, (4, 6), generator=generator)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 0
    return x


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_oracle_torch_on_packed_sequences(kind, bidirectional, generator):
    model = recurrent(kind, **SIZES, layers=2, bidirectional=bidirectional, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        model.embedding.weight[0] = 7.0  # padding is never read, whatever its row holds
    peer = TORCH[kind](4, 5, num_layers=2, bidirectional=bidirectional, batch_first=True, dtype=torch.float64)
    cells = {f"l{l}": cell for l, cell in enumerate(model.layers)}  # noqa: E741
    cells |= {f"l{l}_reverse": cell for l, cell in enumerate(model.reverse)}  # noqa: E741
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    peer.load_state_dict({f"{name}_{end}": getattr(cell, name) for end, cell in cells.items() for name in names})
    x = sentences(generator)
    packed = pack_padded_sequence(model.embedding(x), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    last = peer(packed)[1]
    state = (last[0] if kind == "lstm" else last)[-2 if bidirectional else -1 :]
    torch.testing.assert_close(model(x), model.readout(torch.cat(list(state), dim=1)))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_property_padding_changes_nothing_wherever_it_stands(kind, normalize, generator):
    options = {"layers": 2, "bidirectional": True, "normalize": normalize}
    model = recurrent(kind, **SIZES, **options, generator=generator, dtype=torch.float64)
    x = torch.randint(1, 20, (4, 6), generator=generator)
    gap = torch.zeros(4, 2, dtype=torch.int64)
    padded = torch.cat([gap, x[:, :3], gap, x[:, 3:], gap], dim=1)
    assert torch.equal(model(padded), model(x))


@pytest.mark.parametrize("kind", KINDS)
def test_property_causal_in_one_direction(kind, generator):
    model = recurrent(kind, **SIZES, generator=generator)
    x = torch.randint(1, 20, (4, 6), generator=generator)
    other = x.clone()
    other[:, 4:] = 1
    one, two = model.activations(x)[0], model.activations(other)[0]
    assert torch.equal(one[:, :4], two[:, :4])
    assert not torch.equal(one[:, 5], two[:, 5])


def test_oracle_normalized_cell_normalizes_both_parts_before_the_biases(generator):
    model = recurrent("rnn", **SIZES, normalize=True, generator=generator, dtype=torch.float64)
    cell = model.layers[0]
    with torch.no_grad():
        for parameter in (cell.norm_ih.weight, cell.norm_hh.weight, cell.bias_ih, cell.bias_hh):
            parameter.uniform_(0.5, 2.0, generator=generator)
    x, h = torch.tensor([[3, 7]]), torch.zeros(1, 5, dtype=torch.float64)

    def normal(a):
        return (a - a.mean()) / (a.var(unbiased=False) + 1e-5).sqrt()

    for token in (3, 7):
        a = normal(cell.weight_ih @ model.embedding.weight[token]) * cell.norm_ih.weight + cell.bias_ih
        h = torch.tanh(a + normal(cell.weight_hh @ h[0]) * cell.norm_hh.weight + cell.bias_hh)[None]
    torch.testing.assert_close(model(x), model.readout(h))


def test_property_groups_reach_embedding_gates_biases_and_gains(generator):
    model = recurrent("lstm", **SIZES, bidirectional=True, normalize=True, generator=generator)
    assert layout(model, "embedding").size == 20 * 4
    assert layout(model, lambda name, parameter: "weight_hh" in name).size == 2 * 4 * 5 * 5
    assert layout(model, lambda name, parameter: "weight_ih" in name).size == 2 * 4 * 5 * 4
    assert layout(model, "norm").size == 2 * 2 * 4 * 5
    assert layout(model, "bias").size == 2 * 2 * 4 * 5 + 3
    assert layout(model, "reverse").size == 4 * 5 * (4 + 5 + 2 + 2)


def test_property_weights_start_within_one_over_the_root_of_hidden_and_padding_at_zero(generator):
    model = recurrent("gru", **{**SIZES, "hidden": 100}, generator=generator)
    weight = model.layers[0].weight_hh
    assert 0.099 < weight.abs().max() <= 0.1
    assert not model.embedding.weight[0].any()
    assert model.embedding.weight[1:].any(dim=1).all()
    assert not model.layers[0].bias_ih.any()


def test_limit_a_sentence_without_words_leaves_the_state_at_zero(generator):
    model = recurrent("lstm", **SIZES, bidirectional=True, generator=generator)
    assert torch.equal(model(torch.zeros(2, 3, dtype=torch.int64)), model.readout(torch.zeros(2, 10)))


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_vectors_are_read_as_embedded_tokens_are(kind, generator):
    options = {"hidden": 5, "classes": 3, "layers": 2, "bidirectional": True, "dtype": torch.float64}
    tokens = recurrent(kind, vocabulary=20, embedding=4, **options, generator=generator)
    vectors = sequence(kind, inputs=4, **options, generator=generator)
    vectors.load_state_dict({k: v for k, v in tokens.state_dict().items() if k != "embedding.weight"})
    x = sentences(generator)
    marked = torch.cat([tokens.embedding(x), (x != 0).double()[..., None]], dim=-1)
    torch.testing.assert_close(vectors(marked), tokens(x))
    torch.testing.assert_close(vectors(marked[:1, :, :-1]), tokens(x[:1]))  # the first has no padding


def test_property_what_padding_holds_is_never_read(generator):
    model = sequence("gru", inputs=2, hidden=3, classes=2, bidirectional=True, generator=generator)
    x = torch.randn(1, 5, 3, generator=generator)
    x[..., 2] = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0])
    other = x.clone()
    other[:, [1, 4], :2] = 1e6
    assert torch.equal(model(x), model(other))
    assert torch.equal(model(x), model(x[:, [0, 2, 3], :2]))


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_the_walk_of_a_cell_is_step_by_step_and_memory_is_that_of_an_lstm(kind, generator):
    model = sequence(kind, inputs=2, hidden=3, classes=2, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 4, 2, generator=generator, dtype=torch.float64)
    cell, words = model.layers[0], torch.ones(2, 4, 1, dtype=torch.bool)
    states, memories = cell.walk(cell.drive(x), words, reverse=True)
    h = c = torch.zeros(2, 3, dtype=torch.float64)
    for t in (3, 2, 1, 0):
        h, c = cell.step(cell.drive(x)[:, t], h, c)
        assert torch.equal(states[t], h)
        assert torch.equal(memories[t], c)
    assert bool(memories[0].any()) == (kind == "lstm")


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.zeros(2, 3), r"vectors of shape \(N, T, 2\), T >= 1, floating, or 3 features .*got \(2, 3\)"),
        (torch.zeros(2, 0, 2), "T >= 1"),
        (torch.zeros(2, 3, 4), r"got \(2, 3, 4\)"),
        (torch.zeros(2, 3, 2, dtype=torch.int64), "torch.int64"),
        (torch.full((2, 3, 3), 0.5), "marks steps by 1 and padding by 0, got 0.5 to 0.5"),
    ],
)
def test_error_no_vectors_of_the_right_form(x, said, generator):
    with pytest.raises(ParameterError, match=said):
        sequence("rnn", inputs=2, hidden=3, classes=2, generator=generator)(x)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.zeros(2, 3), r"tokens of shape \(N, T\), T >= 1, int64, got \(2, 3\), torch.float32"),
        (torch.zeros(3, dtype=torch.int64), r"tokens of shape \(N, T\)"),
        (torch.zeros(2, 0, dtype=torch.int64), "T >= 1"),
        (torch.tensor([[1, 20]]), "between 0 and 19, got 1 to 20; map words"),
        (torch.tensor([[1, -1]]), "between 0 and 19, got -1 to 1"),
    ],
)
def test_error_no_tokens_of_the_vocabulary(x, said, generator):
    with pytest.raises(ParameterError, match=said):
        recurrent("rnn", **SIZES, generator=generator)(x)


def test_error_kind_and_sizes(generator):
    with pytest.raises(ParameterError, match="'rnn', 'gru', 'lstm', got 'transformer'"):
        recurrent("transformer", **SIZES, generator=generator)
    with pytest.raises(ParameterError, match="hidden must be"):
        recurrent("rnn", **{**SIZES, "hidden": 0}, generator=generator)
    with pytest.raises(ParameterError, match="inputs must be"):
        sequence("rnn", inputs=0, hidden=3, classes=2, generator=generator)
    with pytest.raises(ParameterError, match="at least 2 tokens"):
        recurrent("rnn", **{**SIZES, "vocabulary": 1}, generator=generator)
