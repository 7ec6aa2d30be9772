import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st

from gradwell import kernels, reference

LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic", "mean_squared_error")
CROSS_ENTROPIES = LOSSES[:2]
each_loss = pytest.mark.parametrize("name", LOSSES)


def autograd_loss(name, a, t):
    if name == "softmax_cross_entropy":
        top = anp.max(a, axis=1, keepdims=True)
        total = anp.log(anp.sum(anp.exp(a - top), axis=1, keepdims=True)) + top
        return anp.sum(t * (total - a)) / len(a)
    if name == "sigmoid_cross_entropy":
        return anp.sum(anp.logaddexp(0.0, a) - t * a) / len(a)
    return anp.sum((a - t) ** 2) / (2 * len(a) if name == "quadratic" else a.size)


def terms(name, outputs, targets):
    """Sums of the magnitudes of what is added up: (of the loss, of each element of its gradient)."""
    a, t = np.abs(outputs).astype(np.float64), np.abs(targets).astype(np.float64)
    if name == "softmax_cross_entropy":
        shifted = reference.exp(outputs - outputs.max(axis=1, keepdims=True))
        mass = t.sum(axis=1, keepdims=True)
        largest = a.max(axis=1, keepdims=True) + np.log(a.shape[1])
        probability = mass * shifted / shifted.sum(axis=1, keepdims=True)
        return (t * (largest + a)).sum() / len(a), (probability + t) / len(a)
    if name == "sigmoid_cross_entropy":
        return ((1 + t) * (a + 1)).sum() / len(a), (reference.sigmoid(outputs) + t) / len(a)
    return 0.0, np.zeros_like(a)


def check(name, outputs, targets):
    loss, gradient = getattr(kernels, name)(outputs, targets)
    expected_loss, expected_gradient = getattr(reference, name)(outputs, targets)
    one_hot = targets if targets.ndim == 2 else np.eye(outputs.shape[1])[targets]
    loss_terms, gradient_terms = terms(name, outputs, one_hot)
    eps = np.finfo(outputs.dtype).eps
    reason = "exp and log of at most 2 ulp of shifted logits, then a few products"
    assert_close(loss, expected_loss, relative=16 * eps, cancellation_scale=loss_terms, reason=reason)
    assert_close(
        gradient,
        expected_gradient,
        relative=(16 + 2 * np.abs(outputs).max()) * eps,
        cancellation_scale=gradient_terms,
        flush_below=np.finfo(outputs.dtype).tiny,
        reason=reason + "; exp multiplies the rounding of a shift by the shift",
    )
    assert isinstance(loss, float)
    assert gradient.dtype == outputs.dtype
    assert gradient.flags.c_contiguous


@each_loss
def test_every_tail(name, dtype, rng):
    for outputs in range(1, 66):
        batch = 1 + outputs % 5
        a = rng.normal(scale=2, size=(batch, outputs)).astype(dtype)
        check(name, a, rng.uniform(size=a.shape).astype(dtype))
        check(name, a, rng.integers(0, outputs, batch))


@each_loss
def test_class_numbers_are_one_hot_rows(name, dtype, rng):
    a = rng.normal(size=(9, 6)).astype(dtype)
    classes = rng.integers(0, 6, 9)
    loss, gradient = getattr(kernels, name)(a, classes)
    rows = np.eye(6)[classes]
    for targets in (rows.astype(dtype), rows, rows.astype(np.int32), rows.astype(np.float32)):
        other_loss, other_gradient = getattr(kernels, name)(a, targets)
        assert_close(other_loss, loss, relative=4 * np.finfo(dtype).eps, reason="adds terms that are 0")
        assert_close(other_gradient, gradient, relative=4 * np.finfo(dtype).eps, reason="adds terms that are 0")
    for integer in (np.int8, np.uint8, np.int32, np.int64):
        assert getattr(kernels, name)(a, classes.astype(integer))[0] == loss


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
@pytest.mark.parametrize("size", [50.0, 1e4, 1e30])
def test_huge_logits_neither_overflow_nor_lose_the_loss(name, size, dtype):
    a = np.array([[size, -size, 0], [-size, size, 0], [size, size, size]], dtype)
    targets = np.array([0, 0, 2])
    loss, gradient = getattr(kernels, name)(a, targets)
    expected_loss, expected_gradient = getattr(reference, name)(a, targets)
    eps = np.finfo(dtype).eps
    assert_close(loss, expected_loss, relative=8 * eps, reason="the largest term decides")
    assert_close(gradient, expected_gradient, relative=8 * eps, cancellation_scale=1 / 3, reason="softmax - t cancels")


def test_sigmoid_of_a_sure_and_right_answer_keeps_its_tiny_loss(dtype):
    a = np.array([[30.0]], dtype)
    loss, _ = kernels.sigmoid_cross_entropy(a, np.ones_like(a))
    assert_close(
        loss,
        np.log1p(np.exp(-30.0)),
        relative=16 * np.finfo(dtype).eps,
        reason="log1p(e^-30), not log(1 + e^-30)",
    )


def test_softmax_gradient_sums_to_zero_over_classes(dtype, rng):
    a = rng.normal(scale=5, size=(33, 17)).astype(dtype)
    _, gradient = kernels.softmax_cross_entropy(a, rng.integers(0, 17, 33))
    assert_close(
        gradient.astype(np.float64).sum(axis=1),
        np.zeros(33),
        relative=8 * np.finfo(dtype).eps,
        cancellation_scale=2 / 33,
        reason="probabilities and targets both sum to 1; the magnitudes sum to at most 2 / batch",
    )


@each_loss
def test_loss_is_accumulated_in_double(name):
    row = np.array([[0.3, -1.2, 0.7]], np.float32)
    one = getattr(kernels, name)(row, np.array([1]))[0]
    many = getattr(kernels, name)(np.repeat(row, 100_003, axis=0), np.full(100_003, 1))[0]
    assert_close(many, one, relative=1e-11, reason="100,003 double roundings; float32 sums drift by 1e-5")


@given(
    st.sampled_from(LOSSES),
    st.tuples(st.integers(1, 6), st.integers(1, 9)),
    st.floats(1e-6, 8),
    st.integers(0, 2**32 - 1),
)
def test_gradient_matches_autograd_and_complex_step(name, shape, size, seed):
    rng = np.random.default_rng(seed)
    a, t = rng.normal(size=shape) * size, rng.uniform(size=shape)
    loss, gradient = getattr(kernels, name)(a, t)
    scale = terms(name, a, t)
    reason = "autograd and the step subtract t from a probability; so may we"
    differences = 0.0 if name in CROSS_ENTROPIES else 1e-15
    assert_close(loss, autograd_loss(name, a, t), relative=1e-13, cancellation_scale=scale[0], reason=reason)
    expected = grad(lambda a: autograd_loss(name, a, t))(a)
    magnitude = np.maximum(scale[1], differences)
    assert_close(gradient, expected, relative=1e-12, cancellation_scale=magnitude, reason=reason)
    step = np.empty(shape)
    for index in np.ndindex(shape):
        moved = a.astype(complex)
        moved[index] += 1e-30j
        step[index] = getattr(reference, name)(moved, t)[0].imag / 1e-30
    assert_close(gradient, step, relative=1e-12, cancellation_scale=magnitude, reason=reason)


@each_loss
def test_nan_stays_in_its_row_and_reaches_the_loss(name, dtype, rng):
    a = rng.normal(size=(5, 19)).astype(dtype)
    a[3, 2] = np.nan
    loss, gradient = getattr(kernels, name)(a, np.arange(5))
    assert np.isnan(loss)
    np.testing.assert_array_equal(np.isnan(gradient).any(axis=1), np.arange(5) == 3)


@each_loss
def test_memory_layout_does_not_matter(name, relayout, dtype, rng):
    a = rng.normal(size=(7, 5)).astype(dtype)
    for targets in (rng.uniform(size=a.shape).astype(dtype), rng.integers(0, 5, 7)):
        loss, gradient = getattr(kernels, name)(a, targets)
        laid_loss, laid_gradient = getattr(kernels, name)(relayout(a), relayout(targets))
        assert laid_loss == loss
        np.testing.assert_array_equal(laid_gradient, gradient)


A = np.zeros((4, 3), np.float32)


@each_loss
@pytest.mark.parametrize(
    ("outputs", "targets", "error", "words"),
    [
        (A, np.array([0, 1, 3, 2]), ValueError, ["targets", "class 3", "row 2", "3 outputs"]),
        (A, np.array([0, -1, 0, 2]), ValueError, ["targets", "class -1", "row 1", "3 outputs"]),
        (A, np.array([0, 1]), ValueError, ["targets", "2", "4"]),
        (A, A[:, :2], ValueError, ["targets", "2", "3"]),
        (A, A[0], (TypeError, ValueError), ["targets"]),
        (A[0], A[0], ValueError, ["outputs", "(3,)", "2 dim"]),
        (A[:0], A[:0], ValueError, ["outputs", "(0, 3)", "row"]),
        (A.astype(int), A, TypeError, ["int64", "float32"]),
        (A, A.astype(complex), TypeError, ["targets", "complex128"]),
    ],
)
def test_bad_input_is_named(name, outputs, targets, error, words):
    with pytest.raises(error, match=rf"^\[{name}\] ") as raised:
        getattr(kernels, name)(outputs, targets)
    assert [word for word in words if word not in str(raised.value)] == []
