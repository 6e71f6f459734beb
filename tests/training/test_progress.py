import io

import torch
from tqdm import tqdm

from weightlore.data import digits
from weightlore.networks import mlp
from weightlore.training import Epoch, fit, progress


def epoch(number, *, last=False, accuracy=0.5):
    return Epoch(number, 3, 1.25, 1.0, accuracy, 0.1, last)


def test_property_the_bar_shows_losses_and_closes_with_the_last_epoch():
    bars = []

    def make_bar(**options):
        bars.append(tqdm(file=io.StringIO(), mininterval=0, **options))
        return bars[-1]

    show = progress("digits", make_bar=make_bar)
    show(epoch(1))
    show(epoch(2, accuracy=None))
    assert (bars[0].n, bars[0].total, bars[0].disable) == (2, 3, False)
    assert "validation" not in bars[0].postfix
    show(epoch(3, last=True))
    assert bars[0].disable  # closed
    assert "digits: 100%" in bars[0].fp.getvalue()
    assert "loss=1.250, validation accuracy=0.500" in bars[0].fp.getvalue()
    show(epoch(2))
    assert len(bars) == 2
    assert bars[1].n == 2  # a resumed run starts where it goes on


def test_property_without_it_training_prints_nothing(capsys):
    g = torch.Generator().manual_seed(0)
    data = digits("train")[:64]
    fit(mlp((64, 10), generator=g), data, generator=g, epochs=2)
    assert capsys.readouterr() == ("", "")
    fit(mlp((64, 10), generator=g), data, generator=g, epochs=2, callbacks=[progress()])
    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert shown.out == ""
