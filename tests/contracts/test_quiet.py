"""Contract 14: the core prints nothing; who calls decides what is shown."""

import pytest
import torch
from tests.contracts import house
from tests.contracts.files import modules

from weightlore.corruption import Budget, random_trials
from weightlore.data import digits
from weightlore.networks import mlp
from weightlore.training import fit


@pytest.mark.parametrize("path", modules())
def test_property_the_package_does_not_print(path):
    assert house.printed(path, modules()[path]) == []


def test_property_a_print_is_found():
    assert house.printed("x.py", "def f():\n    print('epoch', 3)")
    assert house.printed("x.py", "text = 'print(x)'") == []


def test_property_long_work_is_silent_unless_asked(capfd):
    generator = torch.Generator().manual_seed(0)
    model = mlp((64, 4, 10), generator=generator)
    seen = []
    fit(model, digits("validation"), generator=generator, epochs=2, callbacks=[seen.append])
    random_trials(model, digits("validation"), Budget(0.1), trials=3, generator=generator)
    assert capfd.readouterr() == ("", "")
    assert len(seen) == 2, "a callback is told of every epoch"
