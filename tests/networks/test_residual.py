import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.networks import resnet20
from weightlore.parameters import call, flatten, layout


def test_oracle_resnet20_has_the_known_number_of_parameters(generator):
    model = resnet20(generator=generator)
    assert layout(model).size == 272_474
    assert sum(1 for slot in layout(model, "weight").slots if len(slot.shape) == 4) == 19 + 2
    assert layout(model, "norm").size == 16 * 7 + 32 * 7 + 64 * 7


def test_property_stages_halve_the_image(generator):
    shapes = [tuple(h.shape[1:]) for h in resnet20(width=4, generator=generator).activations(torch.rand(2, 3, 32, 32))]
    assert shapes == [(4, 32, 32)] * 4 + [(8, 16, 16)] * 3 + [(16, 8, 8)] * 3


def test_oracle_a_block_with_silent_convolutions_hands_its_input_on(generator):
    model = resnet20(width=4, generator=generator).eval()
    with torch.no_grad():
        model.blocks[0].conv2.weight.zero_()
    h = torch.rand(2, 4, 8, 8, generator=generator)
    assert torch.equal(model.phi(1)(model.pre(1, h)), h)


def test_property_batch_statistics_in_training_and_running_ones_in_evaluation(generator):
    model, x = resnet20(width=2, generator=generator), torch.rand(4, 3, 8, 8, generator=generator)
    before = model.stem_norm.running_mean.clone()
    call(model.train(), flatten(model), x)
    assert torch.equal(model.stem_norm.running_mean, before)
    trained = model(x)
    assert not torch.equal(model.stem_norm.running_mean, before)
    assert not torch.allclose(model.eval()(x), trained)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (2, 192)])
def test_error_input_of_another_shape_says_which_is_read(shape, generator):
    with pytest.raises(ParameterError, match=r"images of shape \(N, 3, height, width\), got .*x\[None\]"):
        resnet20(width=1, generator=generator)(torch.zeros(shape))


def test_error_sizes(generator):
    with pytest.raises(ParameterError, match="channels must be"):
        resnet20(channels=0, generator=generator)
