"""The transfer loss against numbers worked out by hand, and the properties of CKA."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snntx.train.losses import (
    TransferLoss,
    event_loss,
    linear_cka,
    mean_logit_loss,
    tet_loss,
)
from snntx.train.models import TransferOutput

STEPS, BATCH, CLASSES, FEATURES = 3, 4, 5, 7


def double(values: list[list[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_output(batch: int = BATCH, *, seed: int = 0) -> tuple[TransferOutput, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64).requires_grad_()

    output = TransferOutput(
        draw(STEPS, batch, CLASSES),
        draw(STEPS, batch, CLASSES),
        draw(STEPS, batch, FEATURES),
        draw(STEPS, batch, FEATURES),
    )
    labels = torch.randint(CLASSES, (batch,), generator=source)
    return output, labels, draw(STEPS)


def test_cka_by_hand() -> None:
    # Centred columns (-1, 0, 1) and (-2, 1, 1): <a, b> = 3, |a|² = 2, |b|² = 6.
    a, b = double([[1.0], [2.0], [3.0]]), double([[-2.0], [1.0], [1.0]])
    assert linear_cka(a, b).item() == pytest.approx(9 / (12 + 1e-7), abs=1e-15)


def test_cka_equals_the_centring_matrix_formula() -> None:
    output, _, _ = random_output()
    a, b = output.static_features.detach(), output.event_features.detach()
    centring = torch.eye(BATCH, dtype=torch.float64) - 1 / BATCH
    for step in range(STEPS):
        gram_a = centring @ a[step] @ a[step].T @ centring
        gram_b = centring @ b[step] @ b[step].T @ centring
        expected = torch.trace(gram_a @ gram_b) / (gram_a.norm() * gram_b.norm() + 1e-7)
        torch.testing.assert_close(linear_cka(a, b)[step], expected)


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(2, 9),
    seed=st.integers(0, 10_000),
    scale=st.floats(0.1, 10),
    offset=st.floats(-5, 5),
)
def test_cka_properties(batch: int, seed: int, scale: float, offset: float) -> None:
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(batch, 6, generator=source, dtype=torch.float64)
    b = torch.randn(batch, 3, generator=source, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=source, dtype=torch.float64)).Q
    cka = linear_cka(a, b).item()
    assert 0 <= cka <= 1 + 1e-12
    assert linear_cka(b, a).item() == pytest.approx(cka, abs=1e-12)
    assert linear_cka(scale * a @ rotation + offset, b).item() == pytest.approx(cka, abs=1e-4)
    assert linear_cka(a, a).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567])
@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_constant_over_the_batch_give_zero_and_no_gradient(
    value: float, batch: int, dtype: torch.dtype
) -> None:
    constant = torch.full((2, batch, 100), value, dtype=dtype, requires_grad=True)
    varied = torch.randn(2, batch, 100, dtype=dtype).requires_grad_()
    cka = linear_cka(constant, varied)
    cka.sum().backward()  # type: ignore[no-untyped-call]
    assert cka.tolist() == [0, 0]
    assert constant.grad is not None
    assert not constant.grad.any()
    assert varied.grad is not None
    assert not varied.grad.any()


def test_cka_gradient_is_the_numerical_one() -> None:
    source = torch.Generator().manual_seed(3)
    a, b = (
        torch.randn(2, 4, 3, generator=source, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(linear_cka, (a, b))


def test_tet_by_hand() -> None:
    # Two steps, one sample, two classes, label 0. CE(z) = log(1 + exp(z1 - z0)).
    logits = torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
    labels = torch.tensor([0])
    entropy = [math.log(2), math.log(1 + math.exp(-1))]
    per_step = [0.9 * e + 0.1 * 0.25 for e in entropy]
    loss = tet_loss(logits, labels, tet_lambda=0.1)
    assert loss.item() == pytest.approx(sum(per_step) / 2, abs=1e-15)
    weighted = tet_loss(logits, labels, tet_lambda=0.1, weights=torch.tensor([0.25, 2.0]).double())
    assert weighted.item() == pytest.approx((0.25 * per_step[0] + 2 * per_step[1]) / 2, abs=1e-15)
    assert mean_logit_loss(logits, labels).item() == pytest.approx(math.log(1 + math.exp(-0.5)))


@pytest.mark.parametrize("tet", [True, False])
@pytest.mark.parametrize("regularization", [True, False])
def test_total_is_the_sum_of_its_terms(tet: bool, regularization: bool) -> None:
    output, labels, coefficient = random_output()
    loss = TransferLoss(tet=tet, regularization=regularization, domain_weight=0.3)
    terms = loss(output, labels, coefficient)
    gate = torch.sigmoid(coefficient) if regularization else torch.ones(STEPS).double()
    event_gate = 1 - gate if regularization else gate

    torch.testing.assert_close(terms.total, terms.static + terms.event + 0.3 * terms.domain)
    torch.testing.assert_close(terms.cka, linear_cka(output.static_features, output.event_features))
    torch.testing.assert_close(terms.domain, (gate * (1 - terms.cka)).mean())
    torch.testing.assert_close(terms.static, event_loss(output.static_logits, labels, tet=tet))
    if tet:
        expected = tet_loss(output.event_logits, labels, weights=event_gate)
    else:
        expected = mean_logit_loss(output.event_logits, labels)
    torch.testing.assert_close(terms.event, expected)


def test_coefficients_without_regularization_get_no_gradient() -> None:
    output, labels, coefficient = random_output()
    terms = TransferLoss(regularization=False)(output, labels, coefficient)
    (grad,) = torch.autograd.grad(terms.total, coefficient, allow_unused=True)
    assert grad is None


def test_coefficients_without_tet_are_moved_by_the_domain_term_alone() -> None:
    output, labels, coefficient = random_output()
    terms = TransferLoss(tet=False, domain_weight=0.5)(output, labels, coefficient)
    (grad,) = torch.autograd.grad(terms.total, coefficient, retain_graph=True)
    (domain,) = torch.autograd.grad(terms.domain, coefficient)
    torch.testing.assert_close(grad, 0.5 * domain)
    assert (grad > 0).all()


def test_domain_weight_zero_still_reports_the_domain_term() -> None:
    output, labels, coefficient = random_output()
    silent = TransferLoss(domain_weight=0.0)(output, labels, coefficient)
    weighted = TransferLoss(domain_weight=0.5)(output, labels, coefficient)
    assert silent.domain.item() == weighted.domain.item() > 0
    torch.testing.assert_close(silent.total, silent.static + silent.event)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_any_batch_size_gives_finite_terms_and_gradients(batch: int) -> None:
    output, labels, coefficient = random_output(batch)
    terms = TransferLoss()(output, labels, coefficient)
    gradients = torch.autograd.grad(terms.total, [*output, coefficient])
    assert all(torch.isfinite(value).all() for value in (*terms, *gradients))
    if batch == 1:
        assert terms.cka.tolist() == [0.0] * STEPS
        torch.testing.assert_close(terms.domain, torch.sigmoid(coefficient).mean())


def test_mean_over_the_batch_does_not_depend_on_how_it_is_padded() -> None:
    output, labels, _ = random_output()
    halves = [
        event_loss(output.event_logits[:, part], labels[part])
        for part in (slice(0, 2), slice(2, 4))
    ]
    whole = event_loss(output.event_logits, labels)
    torch.testing.assert_close(whole, torch.stack(halves).mean())
