"""Structures of the precision beside laplace-torch: variances of logits, stored, and made again where it is."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.uncertainty.laplace import (
    fit_diag,
    fit_kron,
    fit_last_layer,
    jacobians,
    kronecker_factors,
)

# laplace-torch 0.3 with AsdlGGN (asdl 0.1.5), torch 2.13.0, float64; CurvlinopsGGN and BackPackGGN say the same:
#   la = Laplace(model, "classification", subset_of_weights=..., hessian_structure=..., backend=...)
#   la.fit(DataLoader(TensorDataset(x, y), batch_size=40))
#   la.functional_variance(J)[0].diagonal()
STORED = {
    "diag": [0.0916112385843, 0.111891499871, 0.13886125189],
    "kron": [0.375927552514, 0.388343703842, 0.399236969195],
    "last layer": [0.395010753676, 0.408864363785, 0.427273109539],
}


def setting():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            size = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((7 * size + 3 * number).sin().reshape(parameter.shape))
    x = (1.7 * torch.arange(240, dtype=torch.float64)).cos().reshape(40, 6)
    return model, Split(x, torch.arange(40) % 3)


def apart(model, data, J):
    """The covariance under Kronecker factors when each bias has a block of its own, as in the peer."""
    found, start = torch.zeros(len(J), 3, 3, dtype=torch.float64), 0
    both = kronecker_factors(model, data, "classification")
    for A, G in zip(both.inputs, both.outputs, strict=True):
        for H in (torch.kron(G, A[:-1, :-1].contiguous()), G):
            own = J[..., start : start + len(H)]
            found += own @ torch.linalg.solve(H + torch.eye(len(H), dtype=torch.float64), own.mT)
            start += len(H)
    return found


def ours(structure):
    model, data = setting()
    _, J = next(jacobians(model, data.x[:10]))
    if structure == "kron":
        return apart(model, data, J)
    if structure == "diag":
        return fit_diag(model, data, "classification").with_prior(1.0).covariance(J)
    last = fit_last_layer(model, data, "classification", group="2").with_prior(torch.tensor(1.0))
    return last.covariance(J[..., 35:])


@pytest.mark.parametrize("structure", STORED)
def test_oracle_variances_are_the_stored_ones_of_laplace_torch(structure):
    expected = torch.tensor(STORED[structure], dtype=torch.float64)
    torch.testing.assert_close(ours(structure)[0].diagonal(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("structure", STORED)
def test_oracle_variances_are_those_of_laplace_torch(structure):
    laplace = pytest.importorskip("laplace")
    pytest.importorskip("asdl")
    model, data = setting()
    posterior = laplace.Laplace(
        model,
        "classification",
        subset_of_weights="last_layer" if structure == "last layer" else "all",
        hessian_structure="full" if structure == "last layer" else structure,
        prior_precision=1.0,
        backend=laplace.curvature.AsdlGGN,
    )
    posterior.fit(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data.x, data.y), batch_size=40))
    _, J = next(jacobians(setting()[0], data.x[:10]))
    found = posterior.functional_variance(J[..., 35:] if structure == "last layer" else J)
    torch.testing.assert_close(ours(structure), found, rtol=1e-9, atol=1e-12)


def test_property_a_bias_belongs_to_its_layer():
    """The peer leaves its correlations with the weights out; for one example ours are exact with them."""
    model, data = setting()
    _, J = next(jacobians(model, data.x[:10]))
    joint = fit_kron(model, data, "classification").with_prior(1.0).covariance(J)
    assert float((joint - apart(model, data, J)).abs().max() / joint.abs().max()) > 1e-3
