"""The board of chapter 6: the closest signs, a gradient with two terms, a neuron that counts, and two clocks."""

import numpy as np

from weightlore.teaching.boards.drawing import blackboard, curve, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["binarized_board"]

ALPHA, SUM, THETA = ("\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER THETA}")
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"
CURRENT, THRESHOLD, STEPS = 3, 10, 12  # in tenths, so that sums are exact
EARLY = 4.5  # mean step of the exit in the third notebook


def binarized_board() -> Diagram:
    """Draw the board of chapter 6 as it looks at the end of the class.

    Source: ours
    """
    fired = spikes()
    parts = [
        words(14, 30, f"\N{DOUBLE VERTICAL LINE}W \N{MINUS SIGN} {ALPHA}B\N{DOUBLE VERTICAL LINE}^{{2}}", "s1"),
        words(14, 60, f"B = sign W,  {ALPHA} = mean |W|"),
        words(14, 90, "kept: (mean |W|)^{2} / mean W^{2}"),
        words(14, 118, "normal weights: 2/\N{GREEK SMALL LETTER PI}", "small"),
        curve(lambda a: 1 - 2 / np.pi * (2 * a - a**2), (0, 2), (0.2, 1.05), (340, 20, 110, 80)),
        stroke([(340, 20), (340, 100), (460, 100)]),
        stroke([(395, 70), (395, 108)], "s1", thick=True),
        words(395, 126, ALPHA, "s1", "middle"),
        words(14, 162, f"dL/dW_{{j}} = {ALPHA} G_{{j}} [|W_{{j}}| \N{LESS-THAN OR EQUAL TO} 1]"),
        words(466, 162, "through the sign", "small s0", "end"),
        words(72, 192, "+ B_{j} mean(G B)"),
        words(466, 192, "through the scale", "small s2", "end"),
        words(14, 236, f"V \N{LEFTWARDS ARROW} V + I,  spike if V {AT_LEAST} {THETA}", "s1"),
        words(466, 236, f"then V \N{MINUS SIGN} {THETA}", "", "end"),
        *_neuron(fired),
        words(14, 402, "rate = \N{LEFT FLOOR}T z\N{RIGHT FLOOR}/T, from 0 to 1: a ReLU"),
        words(
            14,
            440,
            f"{ALPHA} {SUM} B s {AT_LEAST} {THETA} \N{LEFT RIGHT DOUBLE ARROW} {SUM} B s {AT_LEAST} {THETA}/{ALPHA}",
            "s2",
        ),
        words(14, 478, f"64/{EARLY} = {64 / EARLY:.0f}"),
        words(160, 478, f"6/{EARLY} = {6 / EARLY:.1f}"),
        words(14, 504, "against which clock?", "small"),
    ]
    return blackboard("The board of chapter 6", parts, 520, _told(fired))


def _told(fired: list[int]) -> str:
    return (
        "Above, the squared distance of W and alpha B is a parabola in alpha; B is the sign, alpha the mean "
        "magnitude, and what is kept is the squared mean magnitude over the mean square, 2 over pi for normal "
        "weights. Then the gradient in a latent weight, two terms: through the sign, alpha G where the weight is "
        "at most 1, and through the scale, B times the mean of G B. In the middle a neuron that adds a current of "
        f"0.3: its potential is a saw with spikes in steps {', '.join(map(str, fired))} of {STEPS}. Its rate is a "
        f"staircase under the ReLU. Scales go into thresholds. Last: 64 steps over {EARLY} are {64 / EARLY:.0f}, 6 "
        f"over {EARLY} are {6 / EARLY:.1f}; against which clock?"
    )


def spikes() -> list[int]:
    """Return the steps in which a neuron with a current of 0.3, a threshold of 1 and a soft reset fires.

    Source: ours
    """
    return [t for t in range(1, STEPS + 1) if CURRENT * t // THRESHOLD > CURRENT * (t - 1) // THRESHOLD]


def _neuron(fired: list[int]) -> list[str]:
    left, wide, bottom, high = 40.0, 34.0, 350.0, 8.0  # pixels for a step, and for a tenth
    line = [(left, bottom)]
    for t in range(1, STEPS + 1):
        before, x = CURRENT * (t - 1) % THRESHOLD, left + wide * t
        line.append((x, bottom - high * (before + CURRENT)))
        if t in fired:
            line.append((x, bottom - high * (CURRENT * t % THRESHOLD)))
    parts = [stroke([(left, bottom), (460, bottom)]), stroke([(left, bottom - 80), (460, bottom - 80)], dashed=True)]
    parts += [words(left + wide * t, bottom + 20, str(t), "small s1", "middle") for t in fired]
    return [*parts, words(14, bottom - 74, THETA, "small"), stroke(line, "s0", thick=True)]
