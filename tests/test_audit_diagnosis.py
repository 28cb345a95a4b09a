"""The numbers of a diagnosis, its verdict and its gain."""

import math

import numpy as np
import pytest
from oracles import check_law

import rmt
from rmt.audit.diagnosis import EXPLODES, PASSES, SLOW, STABLE, diagnose
from rmt.checks import InputError

LIMIT = 10 * math.sqrt(1000)


def target(n, field="real"):
    law = rmt.SpectralRadiusLaw(n, field)
    return law.mean() / (law.mean() + law.std())


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 20, 128])
def test_numbers_of_a_glorot_matrix(n, field):
    W = rmt.glorot(n, field).draw(rng=n)
    result = diagnose(W, 1000, LIMIT)
    values = np.linalg.eigvals(W)
    assert (result.n, result.field, result.proven) == (n, field, True)
    assert result.radius == pytest.approx(np.abs(values).max(), rel=1e-12)
    np.testing.assert_allclose(sorted(np.abs(result.eigenvalues)), sorted(np.abs(values)), rtol=1e-9)
    np.testing.assert_allclose(np.sort(result.eigenvalues.imag), np.sort(values.imag), atol=1e-9)
    law = rmt.SpectralRadiusLaw(n, field)
    assert (result.glorot_cdf, result.glorot_sf) == (law.cdf(result.radius), law.sf(result.radius))
    assert result.scale == pytest.approx(np.sqrt(n * np.mean(np.abs(W) ** 2)), rel=1e-13)
    own = rmt.SpectralRadiusLaw(n, field, scale=result.scale)
    assert result.own_scale_cdf == pytest.approx(own.cdf(result.radius), abs=1e-11)
    assert result.norm == pytest.approx(np.linalg.svd(W)[1][0], rel=1e-12)
    assert result.numerical_abscissa == pytest.approx(np.linalg.eigvalsh((W + W.conj().T) / 2)[-1], rel=1e-12)
    lost = np.sum(np.abs(W) ** 2) - np.sum(np.abs(values) ** 2)
    assert result.non_normality == pytest.approx(math.sqrt(max(lost, 0) / np.sum(np.abs(W) ** 2)), abs=1e-6)
    assert result.radius <= result.numerical_radius_high * (1 + 1e-14)
    assert result.numerical_radius_high <= 1.005 * result.numerical_radius_low
    assert result.numerical_radius_low <= result.norm * (1 + 1e-14)


def test_place_in_the_law_is_uniform_for_glorot_matrices():
    places = [diagnose(W, 1, 2.0).glorot_cdf for W in rmt.glorot(20).draw(80, rng=0)]
    check_law(places, lambda p: p)


def test_own_scale_tells_structure_from_scale():
    W = rmt.glorot(20).draw(rng=0)
    assert diagnose(3 * W, 10, 1e9).own_scale_cdf == pytest.approx(diagnose(W, 10, 1e9).own_scale_cdf, abs=1e-10)
    assert diagnose(3 * W, 10, 1e9).glorot_sf < 1e-20
    assert diagnose(W + 2 / 20, 10, 1e9).own_scale_cdf > 0.999  # a mean in the entries, and so one eigenvalue near 2


@pytest.mark.parametrize("power", [-650, 200])
def test_units_do_not_matter(power):
    W = rmt.glorot(20).draw(rng=1)
    one, other = diagnose(W, 3, 1e300), diagnose(W * 2.0**power, 3, 1e300)
    for name in ("radius", "scale", "norm", "numerical_abscissa", "numerical_radius_low", "numerical_radius_high"):
        assert getattr(other, name) / 2.0**power == pytest.approx(getattr(one, name), rel=1e-10)
    assert other.non_normality == pytest.approx(one.non_normality, rel=1e-10)


def test_steps_agree_with_a_plain_recurrence():
    W = 1.4 * rmt.glorot(20).draw(rng=2)
    result = diagnose(W, 1000, 50.0)
    power, total, t = np.eye(20), 0.0, 0
    while total / 20 <= 50.0**2:
        total += np.sum(power**2)
        power = power @ W
        t += 1
    assert result.step_limit == t
    while math.sqrt(total / 20) <= float(np.finfo(np.float32).max):
        total += np.sum(power**2)
        power = power @ W
        t += 1
    assert result.step_overflow == t
    assert result.log10_rms > 38.6
    assert result.times[-1] == 1000
    assert result.log10_curve[-1] == result.log10_rms


def test_verdicts():
    Q = rmt.Haar(20).draw(rng=0)
    shift = 0.5 * np.eye(20) + 50 * np.eye(20, k=1)
    cases = [
        (1.1 * Q, EXPLODES),
        (1.002 * Q, SLOW),
        (Q, STABLE),
        (1.0001 * Q, STABLE),
        (0.5 * Q, STABLE),
        (shift, PASSES),
    ]
    for W, verdict in cases:
        result = diagnose(W, 1000, LIMIT)
        assert result.verdict == verdict
        passes = verdict in (EXPLODES, PASSES)
        assert (result.step_limit is not None) == passes
        assert (result.gain < 1) == passes
    assert diagnose(Q, 10**6, 1e4).verdict == STABLE  # an orthogonal matrix reaches sqrt(T), and no more
    assert diagnose(Q, 10**6, math.sqrt(998001.5)).step_limit == 998002


def test_degenerate_matrices():
    zero = diagnose(np.zeros((3, 3)), 1000, LIMIT)
    assert (zero.radius, zero.scale, zero.norm, zero.verdict, zero.gain) == (0, 0, 0, STABLE, 1)
    assert math.isnan(zero.own_scale_cdf)
    assert zero.log10_rms == pytest.approx(0, abs=1e-15)
    one = diagnose(np.array([[2.0]]), 10, 100.0)
    assert (one.step_limit, one.verdict) == (8, EXPLODES)  # (4^8 - 1)/3 = 21845 > 10^4 > 5461
    with pytest.raises(InputError, match="at most 1e\\+100"):
        diagnose(np.array([[1e101]]), 10, 2.0)


def test_diagonal_is_the_matrix_with_that_diagonal():
    d = np.array([0.3, -1.2j, 0.9 + 0.5j, 0.0])
    vector, matrix = diagnose(d, 500, 20.0), diagnose(np.diag(d), 500, 20.0)
    for name in ("radius", "scale", "norm", "numerical_abscissa", "log10_rms", "glorot_cdf", "own_scale_cdf"):
        assert getattr(vector, name) == pytest.approx(getattr(matrix, name), rel=1e-9)
    assert matrix.numerical_radius_low <= vector.numerical_radius_low <= matrix.numerical_radius_high * (1 + 1e-12)
    for name in ("step_limit", "step_overflow", "verdict", "gain", "field", "n"):
        assert getattr(vector, name) == getattr(matrix, name)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("field", ["real", "complex"])
def test_gain_leads_to_the_mean_radius_of_a_rescaled_matrix(field, seed):
    W = 1.5 * rmt.glorot(20, field).draw(rng=seed)
    result = diagnose(W, 1000, LIMIT)
    assert result.verdict == EXPLODES
    after = diagnose(result.gain * W, 1000, LIMIT)
    assert after.verdict == STABLE
    assert target(20, field) * (1 - 2e-3) < after.radius <= target(24, field)


def test_gain_of_a_typical_matrix_is_the_rescaled_gain():
    W = rmt.glorot(20).draw(rng=0)
    W *= rmt.SpectralRadiusLaw(20).mean() / rmt.spectral_radius(W)
    exact = rmt.rescaled_gain(20)
    assert exact - 1e-4 < diagnose(W, 10**4, 1e3).gain <= exact


def test_gain_of_a_matrix_far_from_normal_obeys_the_growth():
    W = 0.5 * np.eye(20) + 4 * np.eye(20, k=1)
    result = diagnose(W, 1000, LIMIT)
    assert result.verdict == PASSES
    assert result.gain < target(20) / 0.5
    assert diagnose(result.gain * W, 1000, LIMIT).step_limit is None
    assert diagnose(1.01 * result.gain * W, 1000, LIMIT).step_limit is not None


def test_gain_of_a_nilpotent_matrix():
    for W in (3 * np.eye(100, k=-1), 1e40 * np.eye(4, k=1)):
        result = diagnose(W, 1000, LIMIT)
        assert (result.radius, result.verdict) == (0, PASSES)
        assert 0 < result.gain < 1
        assert diagnose(result.gain * W, 1000, LIMIT).step_limit is None
        assert diagnose(1.01 * result.gain * W, 1000, LIMIT).step_limit is not None


def test_gain_of_huge_matrices():
    W = 1e60 * rmt.glorot(20).draw(rng=0)
    gain = diagnose(W, 1000, LIMIT).gain
    assert 0 < gain < 1e-59
    assert diagnose(gain * W, 1000, LIMIT).verdict == STABLE


@pytest.mark.parametrize("scale", [3.0, 30.0])
def test_cell_at_rest(scale):
    A = scale * rmt.glorot(20).draw(rng=3)
    W = 0.5 * np.eye(20) + 0.25 * A
    cell, plain = diagnose(A, 1000, LIMIT, shift=0.5, factor=0.25), diagnose(W, 1000, LIMIT)
    for name in ("radius", "norm", "log10_rms", "step_limit", "verdict", "scale", "numerical_radius_high"):
        assert getattr(cell, name) == getattr(plain, name)
    assert cell.verdict == EXPLODES
    after = diagnose(cell.gain * A, 1000, LIMIT, shift=0.5, factor=0.25)
    assert after.verdict == STABLE
    assert after.radius == pytest.approx(target(20), rel=2e-3)


def test_no_gain_is_enough_where_the_cell_alone_passes():
    # rms of h_t = h_{t-1}/2 + x_t tends to 1/sqrt(1 - 1/4) = 1.1547.
    A = 9 * rmt.glorot(20).draw(rng=0)
    assert math.isnan(diagnose(A, 1000, 1.15, shift=0.5, factor=0.25).gain)
    assert diagnose(A, 1000, 1.16, shift=0.5, factor=0.25).gain > 0


def test_printed_gain_is_rounded_down():
    for seed in range(5):
        W = 2 * rmt.glorot(20).draw(rng=seed)
        gain = diagnose(W, 1000, LIMIT).gain
        exact = target(20) / rmt.spectral_radius(W)
        assert gain <= exact < gain * 1.0011
        assert float(f"{gain:.4g}") == gain
