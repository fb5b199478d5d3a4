"""The transfer loss against numbers worked out by hand, and the properties of CKA."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from snntx.errors import UsageError
from snntx.train.method.losses import (
    TransferLoss,
    event_loss,
    linear_cka,
    mean_logit_loss,
    tet_loss,
)
from snntx.train.network.create import TransferOutput

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


def cka_by_centring_matrix(a: Tensor, b: Tensor) -> Tensor:
    batch = len(a)
    centring = torch.eye(batch, dtype=torch.float64) - 1 / batch
    gram_a, gram_b = centring @ a @ a.T @ centring, centring @ b @ b.T @ centring
    norms: Tensor = torch.linalg.matrix_norm(gram_a) * torch.linalg.matrix_norm(gram_b)
    return torch.trace(gram_a @ gram_b) / (norms + 1e-7)


# wide features take the Gram form, narrow ones the feature form
SIZES = [(4, 7, 7), (16, 90, 3), (40, 5, 3), (33, 1, 1), (2, 1, 1)]


def draw_features(batch: int, wide: int, other: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(batch)
    shape = STEPS, batch, wide + other
    both = torch.randn(shape, generator=source, dtype=torch.float64) + 0.5
    return both[..., :wide], (both[..., wide:] + both[..., :1]).clone()


@pytest.mark.parametrize(("batch", "wide", "other"), SIZES)
def test_cka_equals_the_centring_matrix_formula(batch: int, wide: int, other: int) -> None:
    a, b = draw_features(batch, wide, other)
    expected = torch.stack([cka_by_centring_matrix(a[t], b[t]) for t in range(STEPS)])
    torch.testing.assert_close(linear_cka(a, b), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("batch", "wide", "other"), [*SIZES, (120, 18432, 18432), (8, 300, 300)])
def test_cka_takes_the_cheaper_form(batch: int, wide: int, other: int) -> None:
    gram = batch**2 * (wide + other)
    feature = batch * (wide**2 + wide * other + other**2)
    with FakeTensorMode(), FlopCounterMode(display=False) as counted:
        linear_cka(torch.empty(batch, wide), torch.empty(batch, other))
    assert counted.get_total_flops() == 2 * min(gram, feature)


@pytest.mark.parametrize(("batch", "wide", "other"), [(40, 5, 3), (120, 11, 30), (33, 1, 1)])
def test_both_forms_agree_in_value_and_gradient(batch: int, wide: int, other: int) -> None:
    # columns of zeros change nothing but the sizes, which choose the form
    narrow = [each.requires_grad_() for each in draw_features(batch, wide, other)]
    padded = [torch.nn.functional.pad(each, (0, 3 * batch)) for each in narrow]
    values, gradients = [], []
    for pair in (narrow, padded):
        cka = linear_cka(*pair)
        weights = torch.arange(1.0, STEPS + 1, dtype=torch.float64)
        values.append(cka)
        gradients.append(torch.autograd.grad(weights @ cka, narrow))
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)
    for one, two in zip(*gradients, strict=True):
        assert one.any()
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(2, 30),
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
@pytest.mark.parametrize(("batch", "features"), [(1, 100), (3, 100), (7, 100), (40, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_constant_over_the_batch_give_zero_and_no_gradient(
    value: float, batch: int, features: int, dtype: torch.dtype
) -> None:
    constant = torch.full((2, batch, features), value, dtype=dtype, requires_grad=True)
    varied = torch.randn(2, batch, features, dtype=dtype).requires_grad_()
    cka = linear_cka(constant, varied)
    cka.sum().backward()  # type: ignore[no-untyped-call]
    assert cka.tolist() == [0, 0]
    assert constant.grad is not None
    assert not constant.grad.any()
    assert varied.grad is not None
    assert not varied.grad.any()


@pytest.mark.parametrize(("batch", "features"), [(4, 3), (6, 2)])
def test_cka_gradient_is_the_numerical_one(batch: int, features: int) -> None:
    source = torch.Generator().manual_seed(3)
    a, b = (
        torch.randn(2, batch, features, generator=source, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(linear_cka, (a, b))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("batch", "features"), [(4, 50), (60, 5)])
def test_cka_is_computed_in_float32_under_autocast(
    batch: int, features: int, dtype: torch.dtype
) -> None:
    a, b = (each.to(dtype) for each in draw_features(batch, features, features))
    with torch.autocast("cpu", torch.bfloat16):
        first = a.requires_grad_()
        cka = linear_cka(first, b)
        (grad,) = torch.autograd.grad(cka.sum(), first)
    assert cka.dtype == torch.float32
    assert grad.dtype == dtype
    expected = torch.stack(
        [cka_by_centring_matrix(a[t].double(), b[t].double()) for t in range(STEPS)]
    )
    torch.testing.assert_close(cka.double(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("tet", [True, False])
def test_terms_of_half_precision_outputs_are_those_of_the_widened(tet: bool) -> None:
    output, labels, coefficient = random_output()
    half = TransferOutput(*(each.detach().bfloat16() for each in output))
    wide = TransferOutput(*(each.float() for each in half))
    loss = TransferLoss(tet=tet)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(half, labels, coefficient.float())
    for name, term in loss(wide, labels, coefficient.float())._asdict().items():
        torch.testing.assert_close(getattr(found, name), term, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [TransferLoss(), TransferLoss(tet=False, fixed_coefficient=0.3)])
@pytest.mark.parametrize("batch", [1, 4, 50])
def test_no_term_reads_a_value_back_from_the_device(loss: TransferLoss, batch: int) -> None:
    with FakeTensorMode():  # refuses whatever needs a number on the host
        output = TransferOutput(*(torch.empty(STEPS, batch, 5) for _ in range(4)))
        labels = torch.empty(batch, dtype=torch.long)
        terms = loss(output, labels, torch.empty(STEPS))
    assert terms.total.shape == ()
    assert terms.cka.shape == (STEPS,)


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


def test_label_smoothing_by_hand() -> None:
    # A fifth of the label goes to both classes: 9/10 of CE(0) and 1/10 of CE(1).
    logits, labels = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64), torch.tensor([0])
    entropy = 0.9 * math.log(1 + math.exp(-1)) + 0.1 * math.log(1 + math.exp(1))
    for tet, expected in ((False, entropy), (True, 0.9 * entropy + 0.1 * 0.25)):
        found = event_loss(logits, labels, tet=tet, tet_lambda=0.1, label_smoothing=0.2)
        assert found.item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("tet", [True, False])
def test_label_smoothing_reaches_both_branches_and_nothing_else(tet: bool) -> None:
    output, labels, coefficient = random_output()
    terms = TransferLoss(tet=tet, regularization=False, label_smoothing=0.1)(
        output, labels, coefficient
    )
    plain = TransferLoss(tet=tet, regularization=False)(output, labels, coefficient)
    for logits, found, without in (
        (output.static_logits, terms.static, plain.static),
        (output.event_logits, terms.event, plain.event),
    ):
        expected = event_loss(logits, labels, tet=tet, label_smoothing=0.1)
        torch.testing.assert_close(found, expected)
        assert found != without
    assert terms.domain == plain.domain


@pytest.mark.parametrize("tet", [True, False])
@pytest.mark.parametrize("fixed", [0.25, 0.75])
def test_a_fixed_coefficient_is_a_learnt_one_that_stands_still(tet: bool, fixed: float) -> None:
    output, labels, coefficient = random_output()
    terms = TransferLoss(tet=tet, fixed_coefficient=fixed)(output, labels, coefficient)
    logits = torch.full((STEPS,), math.log(fixed / (1 - fixed)), dtype=torch.float64)
    for found, expected in zip(terms, TransferLoss(tet=tet)(output, labels, logits), strict=True):
        torch.testing.assert_close(found, expected)
    (grad,) = torch.autograd.grad(terms.total, coefficient, allow_unused=True)
    assert grad is None


def test_fixed_coefficients_at_the_ends_leave_one_side_alone() -> None:
    output, labels, coefficient = random_output()
    plain = TransferLoss(regularization=False)(output, labels, coefficient)
    nothing = TransferLoss(fixed_coefficient=0.0)(output, labels, coefficient)
    everything = TransferLoss(fixed_coefficient=1.0)(output, labels, coefficient)
    torch.testing.assert_close(nothing.total, plain.static + plain.event)
    torch.testing.assert_close(everything.total, plain.static + 0.5 * plain.domain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed_coefficient": 1.5}, "fixed_coefficient is 1.5, expected a number from 0 to 1"),
        ({"fixed_coefficient": math.nan}, "fixed_coefficient is nan"),
        (
            {"fixed_coefficient": 0.5, "regularization": False},
            "fixed_coefficient has no effect without regularization",
        ),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0, expected a number from 0 to below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
    ],
)
def test_impossible_losses_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TransferLoss(**options)


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
