"""A softmax that keeps something back, and logits that are quotients."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.deterministic import DecomposedConfidenceHead, InhibitedSoftmax

SIMILARITIES = ("inner", "euclidean", "cosine")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def test_oracle_one_more_class_whose_logit_is_constant():
    z, y = normal(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    more = torch.cat([z, torch.full((6, 1), 0.7).double()], 1).softmax(1)
    inhibited = InhibitedSoftmax(0.7)
    torch.testing.assert_close(inhibited.log_probs(z).exp(), more[:, :4])
    torch.testing.assert_close(inhibited.certainty(z), more[:, :4].sum(1))
    torch.testing.assert_close(inhibited.score(z), more[:, 4])
    torch.testing.assert_close(inhibited.loss(z, y), -more.gather(1, y[:, None]).log().mean())


def test_property_the_loss_is_the_plain_one_and_a_price():
    z, y = normal(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    inhibited = InhibitedSoftmax(0.0)
    plain, price = F.cross_entropy(z, y), -inhibited.certainty(z).log().mean()
    for weight in (0.0, 0.5, 3.0):
        torch.testing.assert_close(inhibited.loss(z, y, evidence_weight=weight), plain + weight * price)


def test_property_it_sees_how_large_logits_are():
    z = normal(5, 3)
    inhibited = InhibitedSoftmax(1.0)
    assert bool((inhibited.score(z - 1) > inhibited.score(z)).all())
    torch.testing.assert_close(inhibited.prediction(z - 1).probs, inhibited.prediction(z).probs)
    torch.testing.assert_close(inhibited.prediction(z).probs[0], inhibited.log_probs(z).softmax(1))


def test_limit_huge_logits_and_small_rests():
    inhibited = InhibitedSoftmax(0.0)
    z = torch.tensor([[800.0, 0.0], [-800.0, -800.0], [30.0, 0.0]]).double()
    assert torch.isfinite(inhibited.log_probs(z)).all()
    assert torch.isfinite(inhibited.loss(z, torch.tensor([1, 0, 0])))
    assert inhibited.certainty(z)[:2].tolist() == pytest.approx([1.0, 0.0])
    assert float(inhibited.score(z)[2]) == pytest.approx(math.exp(-30), rel=1e-6)  # 1 - certainty would be zero


def test_oracle_gradients_of_the_loss():
    z, y = normal(4, 3).requires_grad_(), torch.tensor([0, 1, 2, 2])
    assert torch.autograd.gradcheck(lambda a: InhibitedSoftmax(0.5).loss(a, y, evidence_weight=2.0), (z,))


def test_error_of_what_it_cannot_inhibit():
    with pytest.raises(ParameterError, match="constant logit must be finite"):
        InhibitedSoftmax(math.inf)
    with pytest.raises(ParameterError, match="evidence_weight must be finite"):
        InhibitedSoftmax().loss(torch.zeros(1, 2), torch.tensor([0]), evidence_weight=-1.0)
    with pytest.raises(ParameterError, match="a logit must be finite"):
        InhibitedSoftmax().score(torch.tensor([[math.nan, 0.0]]))
    with pytest.raises(ParameterError, match="take one member"):
        InhibitedSoftmax().certainty(torch.zeros(2, 3, 4))


def decomposed(similarity, classes=3):
    return DecomposedConfidenceHead(4, classes, similarity=similarity, generator=seeded())


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_oracle_quotients_by_their_formula(similarity):
    head, phi = decomposed(similarity).train(), normal(9, 4)
    w = head.centers.weight
    rows = {
        "inner": lambda: torch.stack([torch.stack([w[c] @ p for c in range(3)]) for p in phi]),
        "euclidean": lambda: -(torch.cdist(phi, w) ** 2),
        "cosine": lambda: torch.stack([F.cosine_similarity(phi, w[c][None], dim=1) for c in range(3)], 1),
    }
    raw = phi @ head.gate.weight[0] + head.gate.bias
    g = ((raw - raw.mean()) / (raw.var(correction=0) + 1e-5).sqrt()).sigmoid()
    h, found = head.parts(phi)
    torch.testing.assert_close(h, rows[similarity]())
    torch.testing.assert_close(found, g)
    torch.testing.assert_close(head(phi), rows[similarity]() / g[:, None])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_property_scores_are_the_parts_turned_around(similarity):
    head, phi = decomposed(similarity), normal(9, 4)
    head.train()(phi)
    head.eval()
    h, g = head.parts(phi)
    assert torch.equal(head.score(phi), -h.max(1).values)
    assert torch.equal(head.score(phi, confidence="domain"), -g)
    torch.testing.assert_close(head.score(phi[2:4]), head.score(phi)[2:4])


def test_property_only_the_inner_product_has_biases():
    assert [decomposed(s).centers.bias is not None for s in SIMILARITIES] == [True, False, False]
    h, _ = decomposed("cosine").parts(normal(9, 4))
    assert h.abs().max() <= 1


def test_property_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    one, other = (decomposed("cosine") for _ in range(2))
    assert torch.equal(one.centers.weight, other.centers.weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_property_a_class_is_learned_through_the_quotient():
    phi, y = normal(60, 4), (torch.arange(60) % 3)
    phi = phi + 4 * torch.eye(4).double()[y]
    head = decomposed("cosine").train()
    steps = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(100):
        steps.zero_grad()
        F.cross_entropy(head(phi), y).backward()
        steps.step()
    assert float((head.eval()(phi).argmax(1) == y).double().mean()) > 0.95


def test_limit_features_of_zero_and_gates_of_zero():
    head = decomposed("cosine").eval()
    assert torch.isfinite(head(torch.zeros(2, 4).double())).all()
    nn.init.constant_(head.gate.bias, -1e6)
    assert torch.isfinite(head(normal(2, 4))).all()


def test_error_of_modes_and_options():
    head = decomposed("cosine").train()
    with pytest.raises(ParameterError, match="2 examples or more, got 1"):
        head(normal(1, 4))
    with pytest.raises(ParameterError, match=r"call eval\(\) first"):
        head.score(normal(3, 4))
    with pytest.raises(ParameterError, match="similarity is one of"):
        decomposed("angular")
    with pytest.raises(ParameterError, match="confidence is one of"):
        head.eval().score(normal(3, 4), confidence="input")
    with pytest.raises(ParameterError, match="a score must be finite"):
        head.eval().score(torch.full((1, 4), math.nan).double())
    with pytest.raises(ParameterError, match="classes must be"):
        decomposed("cosine", classes=0)
