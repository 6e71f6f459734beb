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
    # without biases, to which the peer gives a block of their own
    ("classification", "all", "kron"): (
        -44.20748697210354,
        (73.03167234829291, 27.69023929684822),
        (0.4275051226788517, 0.5066634487396064, 0.45504701088485905),
    ),
    ("classification", "last_layer", "kron"): (
        -33.020079980731,
        (38.00728970487178, 19.722532452959914),
        (0.36054126117584767, 0.36051860164411187, 0.3607292825056591),
    ),
    ("regression", "all", "kron"): (
        -90.9823562889338,
        (206.46413507902065, 73.01504638573621),
        (0.01892513740492029, 0.01940006035087041),
    ),
    ("regression", "last_layer", "kron"): (
        -70.5818117058657,
        (115.48357632059937, 59.92594287452046),
        (0.010737882385290293, 0.010737882385290293),
    ),
}
LIKELIHOODS = {  # la.log_likelihood, with and without biases
    ("classification", True): -22.17202080261379,
    ("regression", True): -33.61986018616765,
    ("classification", False): -23.287755984331312,
    ("regression", False): -57.12015136796243,
}


def setting(likelihood, structure):
    outputs, bias = 3 if likelihood == "classification" else 2, structure != "kron"
    net = nn.Sequential(nn.Linear(4, 5, bias=bias), nn.Tanh(), nn.Linear(5, outputs, bias=bias)).double()
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(torch.sin(torch.arange(p.numel(), dtype=FLOAT) * (k + 1.3) + k).view(p.shape))
    x = torch.cos(torch.arange(80, dtype=FLOAT) * 0.7).view(20, 4) * torch.linspace(0.5, 2, 20, dtype=FLOAT)[:, None]
    if likelihood == "classification":
        return net, Split(x, torch.arange(20) % 3)
    return net, Split(x, torch.stack([x[:, 0].sin(), x[:, 1] * x[:, 2]], 1))


def ours(likelihood, subset, structure):
    net, data = setting(likelihood, structure)
    noise = {"noise_variance": NOISE} if likelihood == "regression" else {}
    found = Laplace(net, likelihood, structure=structure, subset=subset, prior_precision=TAU, **noise)
    return found.fit(data), data


def theirs(likelihood, subset, structure):
    """The peer's posterior, fitted to the same, and the Jacobians of all parameters."""
    import laplace

    net, data = setting(likelihood, structure)
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
    eye = torch.eye(posterior.curvature.size, dtype=FLOAT)
    return torch.linalg.inv(posterior.posterior.covariance(eye[None])[0]) - TAU * eye


@pytest.mark.parametrize("case", STORED, ids="-".join)
def test_oracle_laplace_torch_stored(case):
    found, data = ours(*case)
    evidence, (trace, norm), variances = STORED[case]
    close = 1e-7
    assert log_marginal_likelihood(found) == pytest.approx(evidence, rel=close)
    assert found.log_likelihood == pytest.approx(LIKELIHOODS[case[0], case[2] != "kron"], rel=1e-12)
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
    H = torch.diag(la.H) if case[2] == "diag" else la.H.to_matrix() if case[2] == "kron" else la.H
    torch.testing.assert_close(curvature(found), H, rtol=1e-6, atol=1e-6)
    own = J[..., -found.curvature.size :]
    torch.testing.assert_close(found.functional(data.x)[1], la.functional_variance(own), rtol=1e-6, atol=1e-9)
