"""A network whose parameters are constants: the same scores and gradients, in chunks that fit."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, convolutional, drawn, ours, uniform
from torch import nn

from weightlore.attribution import input_gradient, scores
from weightlore.attribution.passes import CACHE, FEWEST, MOST, constant
from weightlore.attribution.paths import along, grid
from weightlore.errors import ParameterError


def wide(width):
    return drawn(nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2)))


@pytest.mark.parametrize("name", list(ours()))
@pytest.mark.parametrize("output", ["logit", "probability"])
def test_oracle_scores_and_gradients_are_those_of_the_network(name, output):
    model, x = ours()[name]
    network = constant(model, x, output=output, chunk=2)
    assert torch.allclose(network.scores(x, TARGET), scores(model, x, TARGET, output), atol=1e-13)
    weights = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    found = network.gradients(x, TARGET, weights)
    assert torch.allclose(found, input_gradient(model, x, TARGET, output, weights), rtol=1e-9, atol=1e-13)
    assert torch.equal(network.gradients(x, TARGET), network.gradients(x, TARGET, torch.ones(3)))


@pytest.mark.parametrize("width", [1024, 4096])
def test_oracle_a_chunk_is_what_the_rows_keep(width):
    kept = 4 * 8 + width * 8  # the input's copy, and what tanh gives, which the next layer shares
    assert constant(wide(width), uniform(3, 4)).chunk == pytest.approx(CACHE / kept, rel=0.01)


def test_limit_small_rows_and_large_ones():
    assert constant(wide(3), uniform(3, 4)).chunk == MOST
    assert constant(wide(200_000), uniform(3, 4)).chunk == FEWEST
    assert constant(wide(3), uniform(3, 4), chunk=7).chunk == 7


def test_property_images_in_float32_have_their_channels_last_and_the_model_keeps_its_own():
    model, x = convolutional(), uniform(3, 2, 8, 8)
    assert constant(model, x).layout == torch.contiguous_format
    single = model.float()
    network = constant(single, x.float())
    assert network.layout == torch.channels_last
    assert network.parameters["0.weight"].is_contiguous(memory_format=torch.channels_last)
    assert single[0].weight.is_contiguous()
    assert not any(parameter.requires_grad for parameter in network.parameters.values())
    assert all(parameter.requires_grad for parameter in single.parameters())


def test_property_rows_that_count_nothing_do_not_run():
    model, x = wide(3), uniform(2, 4)
    places = torch.tensor([[0.1, 0.2], [0.3, 0.4], [1.0, 0.5]], dtype=torch.float64)
    weights = torch.tensor([[0.5, 0.2], [0.5, 0.3], [0.0, 0.5]], dtype=torch.float64)
    rows = grid(2, places, weights)
    assert rows.example.tolist() == rows.start.tolist() == rows.end.tolist() == [0, 1, 0, 1, 1]
    assert rows.node.tolist() == [0, 0, 1, 1, 2]
    assert rows.place.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    parts = list(along(constant(model, x, chunk=2), x, torch.zeros_like(x), TARGET[:2] % 2, rows))
    assert [len(part) for part, _ in parts] == [2, 2, 1]
    z = rows.place[:, None] * x[rows.example]
    by_hand = input_gradient(model, z, (TARGET[:2] % 2)[rows.example], weights=rows.weight)
    assert torch.allclose(torch.cat([gradients for _, gradients in parts]), by_hand, atol=1e-14)


@pytest.mark.parametrize("chunk", [0, -1, 2.5, True])
def test_error_a_chunk_counts_rows(chunk):
    with pytest.raises(ParameterError, match="chunk must be a whole number of at least 1"):
        constant(wide(3), uniform(3, 4), chunk=chunk)


def test_error_a_network_that_fails_in_every_layout_fails_with_its_own_words():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("a mistake of its own")

    with pytest.raises(RuntimeError, match="a mistake of its own"):
        constant(Broken().eval(), uniform(3, 1, 8, 8).float())
