"""Our measures beside netcal and torchmetrics, stored and live, and where they disagree for a reason."""

import pytest
import torch

from weightlore.uncertainty.calibration import (
    adaptive_calibration_error,
    ence,
    expected_calibration_error,
    maximum_calibration_error,
    mmce,
    uce,
)

quiet = pytest.mark.filterwarnings("ignore")

ROWS = torch.arange(600, dtype=torch.float64)
P = (3 * torch.sin(1.7 * ROWS[:, None] * torch.arange(1.0, 5.0) + torch.arange(4.0))).softmax(1)
Y = torch.where((torch.arange(600) * 7) % 10 < 7, P.argmax(1), (torch.arange(600) * 3) % 4)
ONE = (P[:, 1].clone(), (Y == 1).long())
MEAN, STD = torch.sin(ROWS), 0.5 + 0.4 * torch.sin(0.37 * ROWS)
OBSERVED = MEAN + 1.3 * STD * torch.cos(2.1 * ROWS)

# netcal 1.4.0: X(15).measure(P.numpy(), Y.numpy()) for X in ECE, MCE, MMCE, ACE; on ONE for ECE, MCE;
# X(bins=10).measure((MEAN.numpy(), STD.numpy()), OBSERVED.numpy()) for X in UCE, ENCE
NETCAL = {
    "ece": 0.15675980355805336,
    "mce": 0.5402441210171558,
    "mmce": 0.11539434782777533,
    "ace": 0.2320770937990482,
    "binary ece": 0.08207197048636855,
    "binary mce": 0.2528085467648065,
    "uce": 0.052065023606440164,
    "ence": 0.07835134546506259,
}
# torchmetrics 1.9.0: functional.classification.multiclass_calibration_error(P, Y, num_classes=4, n_bins=15, norm=n),
# which computes in float32, and binary_calibration_error(*ONE, n_bins=15, norm=n)
TORCHMETRICS = {
    "l1": (0.1567598283290863, 0.08207197048636854),
    "l2": (0.197779580950737, 0.09657370670958139),
    "max": (0.5402441024780273, 0.2528085467648065),
}
NORMS = {"l1": 1.0, "l2": 2.0, "max": float("inf")}


def ours() -> dict[str, float]:
    found = {
        "ece": expected_calibration_error(P, Y),
        "mce": maximum_calibration_error(P, Y),
        "mmce": mmce(P, Y),
        "binary ece": expected_calibration_error(*ONE, target="binary"),
        "binary mce": maximum_calibration_error(*ONE, target="binary"),
        "uce": uce((MEAN, STD), OBSERVED, bins=10),
    }
    return {name: float(value) for name, value in found.items()}


def test_oracle_netcal_stored():
    for name, value in ours().items():
        assert value == pytest.approx(NETCAL[name], abs=1e-12), name


@quiet
def test_oracle_netcal_live():
    pytest.importorskip("netcal")
    from netcal.metrics import ACE, ECE, ENCE, MCE, MMCE, UCE

    p, y, one = P.numpy(), Y.numpy(), [t.numpy() for t in ONE]
    numbers = ((MEAN.numpy(), STD.numpy()), OBSERVED.numpy())
    live = {"ece": ECE(15).measure(p, y), "mce": MCE(15).measure(p, y), "mmce": MMCE().measure(p, y)}
    live |= {"binary ece": ECE(15).measure(*one), "binary mce": MCE(15).measure(*one), "ace": ACE(15).measure(p, y)}
    live |= {"uce": UCE(bins=10).measure(*numbers), "ence": ENCE(bins=10).measure(*numbers)}
    assert {name: float(value) for name, value in live.items()} == pytest.approx(NETCAL, abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_oracle_torchmetrics_stored(norm):
    top, binary = TORCHMETRICS[norm]
    assert expected_calibration_error(P, Y, norm=NORMS[norm]).item() == pytest.approx(top, abs=1e-7)
    assert expected_calibration_error(*ONE, norm=NORMS[norm], target="binary").item() == pytest.approx(
        binary, abs=1e-12
    )


@quiet
@pytest.mark.parametrize("norm", NORMS)
def test_oracle_torchmetrics_live(norm):
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    top = multiclass_calibration_error(P, Y, num_classes=4, n_bins=15, norm=norm)
    binary = binary_calibration_error(*ONE, n_bins=15, norm=norm)
    assert (top.item(), binary.item()) == pytest.approx(TORCHMETRICS[norm], abs=1e-6)


@quiet
def test_limit_a_confidence_of_one_has_a_phantom_bin_in_torchmetrics():
    p, y = torch.tensor([0.95, 1.0]), torch.tensor([1, 0])
    assert expected_calibration_error(p, y, bins=10, target="binary").item() == pytest.approx(0.475)
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.classification import binary_calibration_error

    assert binary_calibration_error(p, y, n_bins=10).item() == pytest.approx(0.525)


def test_limit_netcals_ace_and_ence_are_other_quantities():
    # its ACE is the mean gap of the top label over non-empty bins of equal width, whatever their counts
    gaps = []
    r, c = P.max(1).values, (P.argmax(1) == Y).double()
    for j in range(15):
        inside = (r >= j / 15) & (r < (j + 1) / 15)
        if inside.any():
            gaps.append(float((c[inside].mean() - r[inside].mean()).abs()))
    assert sum(gaps) / len(gaps) == pytest.approx(NETCAL["ace"], abs=1e-12)
    assert abs(adaptive_calibration_error(P, Y).item() - NETCAL["ace"]) > 0.05
    # its ENCE takes bins of equal width of the standard deviation, not of equal mass
    assert abs(ence((MEAN, STD), OBSERVED, bins=10).item() - NETCAL["ence"]) > 0.001


@quiet
def test_limit_netcal_takes_two_different_labels_for_a_binary_problem():
    pytest.importorskip("netcal")
    from netcal.metrics import ECE

    y = torch.arange(600) % 2
    two = P[:, :2] / P[:, :2].sum(1, keepdim=True)
    found = float(ECE(15).measure(two.numpy(), y.numpy()))
    assert found == pytest.approx(expected_calibration_error(two, y, target="binary").item(), abs=1e-12)
    assert abs(found - expected_calibration_error(two, y).item()) > 1e-4
    with pytest.raises(RuntimeError, match="more than 2 confidence dims"):
        ECE(15).measure(P.numpy(), y.numpy())
    assert 0 < expected_calibration_error(P, y) < 1
