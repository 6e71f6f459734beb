"""Evidence, curvature and covariances beside laplace-torch: stored and, where it is installed, made again."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.uncertainty.laplace import FullCurvature, Laplace, jacobians, log_marginal_likelihood

FLOAT = torch.float64
TAU, NOISE = 1.5, 0.25

# laplace-torch 0.3 with CurvlinopsGGN (AsdlGGN for "diag", good to eight digits), torch 2.13.0, float64:
#   la = Laplace(net, likelihood, subset_of_weights=..., hessian_structure=..., prior_precision=1.5, sigma_noise=0.5)
#   la.fit(DataLoader(TensorDataset(x, y), batch_size=20))
#   la.log_marginal_likelihood(), trace and Frobenius norm of la.H, la.functional_variance(J)[0].diagonal()
STORED = {
    ("classification", "all", "full"): (
        -44.39346963946696,
        (69.34820091724396, 27.02589982305986),
        (1.0698355243094682, 0.942870071143325, 1.234340134332068),
    ),
    ("classification", "all", "diag"): (
        -51.112353878091454,
        (69.34820052137488, 12.371395589209149),
        (1.3006993297381504, 0.7075710142503806, 1.5635320605595349),
    ),
    ("classification", "last_layer", "full"): (
        -32.65388138837926,
        (45.539605498313904, 20.76870826842727),
        (0.9376608881924725, 0.9100326580959676, 1.009780052473504),
    ),
    ("regression", "all", "full"): (
        -69.01754262601386,
        (223.3384155035019, 85.7570508692809),
        (0.08703829862141582, 0.05804603499414032),
    ),
    ("regression", "all", "diag"): (
        -90.72230201565225,
        (223.3384166067684, 49.73681750374218),
        (0.17685387046977624, 0.07378217422599019),
    ),
    ("regression", "last_layer", "full"): (
        -52.50189591992525,
        (160.21347618103027, 67.16747272513106),
        (0.048471331896678946, 0.04847133189667896),
    ),
}
LIKELIHOODS = {"classification": -22.17202080261379, "regression": -33.61986018616765}  # la.log_likelihood


def setting(likelihood):
    outputs = 3 if likelihood == "classification" else 2
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs)).double()
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(torch.sin(torch.arange(p.numel(), dtype=FLOAT) * (k + 1.3) + k).view(p.shape))
    x = torch.cos(torch.arange(80, dtype=FLOAT) * 0.7).view(20, 4) * torch.linspace(0.5, 2, 20, dtype=FLOAT)[:, None]
    if likelihood == "classification":
        return net, Split(x, torch.arange(20) % 3)
    return net, Split(x, torch.stack([x[:, 0].sin(), x[:, 1] * x[:, 2]], 1))


def ours(likelihood, subset, structure):
    net, data = setting(likelihood)
    noise = {"noise_variance": NOISE} if likelihood == "regression" else {}
    found = Laplace(net, likelihood, structure=structure, subset=subset, prior_precision=TAU, **noise)
    return found.fit(data), data


def theirs(likelihood, subset, structure):
    """The peer's posterior, fitted to the same, and the Jacobians of all parameters."""
    import laplace

    net, data = setting(likelihood)
    _, J = next(jacobians(net, data.x))
    noise = {"sigma_noise": NOISE**0.5} if likelihood == "regression" else {}
    la = laplace.Laplace(
        net,
        likelihood,
        subset_of_weights=subset,
        hessian_structure=structure,
        prior_precision=TAU,
        backend=laplace.curvature.AsdlGGN if structure == "diag" else laplace.curvature.CurvlinopsGGN,
        **noise,
    )
    la.fit(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data.x, data.y), batch_size=20))
    return la, J


def curvature(posterior):
    """H as the peer keeps it: for a noise of one, which it divides by later; ours has the noise in it."""
    return posterior.terms.noise_variance * own_curvature(posterior)


def own_curvature(posterior):
    if isinstance(posterior.curvature, FullCurvature):
        return posterior.curvature.hessian
    return torch.diag(1 / posterior.posterior.variance() - TAU)


@pytest.mark.parametrize("case", STORED, ids="-".join)
def test_oracle_laplace_torch_stored(case):
    found, data = ours(*case)
    evidence, (trace, norm), variances = STORED[case]
    close = 1e-7
    assert log_marginal_likelihood(found) == pytest.approx(evidence, rel=close)
    assert found.log_likelihood == pytest.approx(LIKELIHOODS[case[0]], rel=1e-12)
    H = curvature(found)
    assert float(H.trace()) == pytest.approx(trace, rel=close)
    assert float(H.norm()) == pytest.approx(norm, rel=close)
    assert found.functional(data.x[:3])[1][0].diagonal().tolist() == pytest.approx(variances, rel=close)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", STORED, ids="-".join)
def test_oracle_laplace_torch_live(case):
    pytest.importorskip("laplace")
    la, J = theirs(*case)
    found, data = ours(*case)
    assert log_marginal_likelihood(found) == pytest.approx(float(la.log_marginal_likelihood()), rel=1e-7)
    H = torch.diag(la.H) if case[2] == "diag" else la.H
    torch.testing.assert_close(curvature(found), H, rtol=1e-6, atol=1e-6)
    own = J[..., -found.curvature.size :]
    torch.testing.assert_close(found.functional(data.x)[1], la.functional_variance(own), rtol=1e-6, atol=1e-9)
