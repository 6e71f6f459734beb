"""The exercises on crossbars: answers by hand, and what is particular to them."""

import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.exercises.sliced import arrays, periphery

OURS = {e.id: e for part in (arrays, periphery) for e in vars(part).values() if isinstance(e, part.Exercise)}
WRONG = {
    ("sliced.saturate", 0): [1, 2, 0, 0, 0, 0, 0, 0],
    ("sliced.saturate", 1): [1, 0, 0, 1, 1, 0, 0, 0],
    ("sliced.saturate", 2): [0, 0, 1, 0, 1, 0, 0, 0],
    ("sliced.saturate", 3): [1, 0, 1, 1, 1, 0, 0, 0],
}


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("sliced")}
    assert len(OURS) == 6


def test_oracle_answers_by_hand():
    assert check("sliced.line_sums", [4, 0, 0, 1]).verdict == "right"
    assert check("sliced.converter_bits", [9, 10, 10]).verdict == "right"
    assert check("sliced.pedestal", lambda ratio, bits: (2**bits - 1) / (ratio - 1)).verdict == "right"
    assert check("sliced.series", lambda g, r, c, v: 1e6 * v / (1e6 / g + r + c)).verdict == "right"
    assert check("sliced.saturate", torch.tensor([1, 0, 1, 0, 1, 0, 0, 0])).verdict == "right"


def test_oracle_shift_and_add_written_out():
    def answer(values, cell_bits):
        total = 0
        for i in range(values.shape[0]):
            for k in range(values.shape[1]):
                total += 2**i * 2 ** (cell_bits * k) * int(values[i, k, 0] - values[i, k, 1])
        return total

    assert check("sliced.shift_and_add", answer).verdict == "right"


def test_oracle_a_cell_further_inside_has_longer_wires():
    exercise = periphery._series(periphery._Path(3, 5))
    assert judge(exercise, lambda g, r, c, v: 1e6 * v / (1e6 / g + 3 * r + 5 * c)).verdict == "right"
    assert judge(exercise, lambda g, r, c, v: 1e6 * v / (1e6 / g + 5 * r + 3 * c)).diagnosis == "pitches"


def test_oracle_the_fewest_rows_by_trying_all():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        line = arrays._lines(generator)
        planes = [[n >> i & 1 for i in range(8)] for n in range(256)]
        enough = [sum(plane) for plane in planes if line.load(plane) > line.ceiling]
        if enough:
            assert min(enough) == sum(line.fewest)
            assert line.right(line.fewest)
