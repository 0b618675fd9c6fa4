"""The budget: one meaning, exact on the 8-bit grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortcut_nb.budget import Budget, linf_pixels

pixels = st.integers(0, 255)
seeds = st.integers(0, 2**31)


def pair(seed, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randint(0, 256, (2, 3, 8, 8), generator=generator).float() / 255
    reference[0, 0, 0] = 0.0
    reference[0, 0, 1] = 1.0
    moved = reference + spread * torch.randn(reference.shape, generator=generator)
    return moved, reference


@given(pixels)
def test_text_goes_there_and_back(k):
    assert Budget.parse(str(Budget.linf(k))) == Budget.parse(k) == Budget(k)
    assert str(Budget(k)) == f"{k}/255"
    assert Budget(k).unit == k / 255


@pytest.mark.parametrize("wrong", [0.03, 8.0, "0.03", "8", "8/256", "-1/255", "8.5/255", -1, 256])
def test_other_notations_are_refused_with_advice(wrong):
    with pytest.raises(ValueError, match="8/255"):
        Budget.parse(wrong)


@pytest.mark.parametrize("wrong", [True, None, [8]])
def test_other_types_are_refused(wrong):
    with pytest.raises(ValueError, match="whole number"):
        Budget.parse(wrong)


@settings(max_examples=40, deadline=None)
@given(pixels, seeds)
def test_projection_is_inside_both_sets_and_idempotent(k, seed):
    x, reference = pair(seed)
    before = x.clone(), reference.clone()
    y = Budget(k).project(x, reference)
    assert torch.equal(Budget(k).project(y, reference), y)
    assert y.min() >= 0 and y.max() <= 1
    assert (y - reference).abs().max() <= k / 255 + 1e-6
    assert torch.equal(x, before[0]) and torch.equal(reference, before[1])


@settings(max_examples=40, deadline=None)
@given(pixels, seeds)
def test_projection_moves_no_further_than_it_must(k, seed):
    x, reference = pair(seed)
    y = Budget(k).project(x, reference)
    free = ((x - reference).abs() < k / 255 - 1e-6) & (x >= 0) & (x <= 1)
    assert torch.equal(y[free], x[free])


@settings(max_examples=40, deadline=None)
@given(pixels, seeds)
def test_the_grid_keeps_the_budget_exactly_also_at_black_and_white(k, seed):
    x, reference = pair(seed)
    y = Budget(k).project_grid(x, reference)
    assert torch.equal((y * 255).round() / 255, y)
    assert max(linf_pixels(y, reference)) <= k
    Budget(k).check(y, reference)
    assert torch.equal(Budget(k).project_grid(y, reference), y)


def test_rounding_after_a_float_projection_cannot_break_the_grid_budget():
    reference = torch.full((1, 3, 8, 8), 100.4) / 255  # off the grid
    x = torch.ones_like(reference)
    assert linf_pixels(Budget(8).project_grid(x, reference), reference) == [8]


def test_zero_budget_returns_the_reference_bit_for_bit():
    x, reference = pair(0)
    assert torch.equal(Budget(0).project(x, reference), reference)
    assert torch.equal(Budget(0).project_grid(x, reference), reference)


def test_projection_carries_the_gradient_inside_the_ball():
    _, reference = pair(1)
    x = (reference.clamp(0.2, 0.8)).requires_grad_()
    Budget(8).project(x, reference.clamp(0.2, 0.8)).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_check_names_the_picture_and_the_excess():
    reference = torch.zeros(3, 3, 8, 8)
    moved = reference.clone()
    moved[1, 0, 0, 0] = 9 / 255
    Budget(9).check(moved, reference)
    with pytest.raises(ValueError, match="picture 1 differs by 9/255"):
        Budget(8).check(moved, reference)
    assert linf_pixels(moved, reference) == [0, 9, 0]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        Budget(8).project(torch.zeros(1, 3, 8, 8), torch.zeros(2, 3, 8, 8))
