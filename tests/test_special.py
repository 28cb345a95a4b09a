import mpmath as mp
import numpy as np
import pytest

from rmt.laws import special


@pytest.fixture(autouse=True)
def _forty_digits():
    with mp.workdps(40):
        yield


@pytest.mark.parametrize("s", [1, 2, 7, 15, 16, 17, 100, 10**6])
def test_stirling_error(s):
    exact = mp.loggamma(s + 1) - (s + mp.mpf(1) / 2) * mp.log(s) + s - mp.log(2 * mp.pi) / 2
    assert float(special.stirling_error(s)) == pytest.approx(float(exact), rel=1e-15)


@pytest.mark.parametrize("e", [-0.9, -0.3, -0.19, -1e-3, -1e-9, 1e-12, 1e-5, 0.1, 0.24, 0.26, 3.0])
def test_log1p_minus(e):
    exact = mp.log1p(mp.mpf(e)) - mp.mpf(e)
    assert float(special.log1p_minus(e)) == pytest.approx(float(exact), rel=2e-15)


@pytest.mark.parametrize(("s", "x"), [(0, 0.3), (1, 2.0), (15, 16.0), (1000, 900.0), (10**5, 10**5 + 3000.0)])
def test_log_poisson(s, x):
    exact = s * mp.log(x) - mp.mpf(x) - mp.loggamma(s + 1)
    assert float(special.log_poisson(s, x)) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("j", [0, 1, 50, 99, 100, 101, 1000, 32768])
def test_gamma_ratio(j):
    exact = mp.gammaprod([j + mp.mpf(1) / 2], [j + 1])
    assert float(special.gamma_ratio(np.array(j))) == pytest.approx(float(exact), rel=1e-15)


@pytest.mark.parametrize("a", [1, 7, 300, 999, 1001, 10**5, 10**6])
@pytest.mark.parametrize("u", [-15, -5, -1, 0, 0.3, 2, 6, 15, 21])
def test_log_gamma_cdf(a, u):
    x = a + u * np.sqrt(a)
    if x <= 0:
        return
    if u > 0:

        def density(t):
            return mp.exp((a - 1) * mp.log(t) - t - mp.loggamma(a))

        # Integrated in panels of its own scale.
        exact = mp.log1p(-mp.quad(density, [x + mp.sqrt(a) * p for p in (0, 0.2, 0.5, 1, 2, 4, 8, 16, 40, 100)]))
    else:
        x = mp.mpf(x)
        term = total = mp.mpf(1)
        k = 0
        while term > 1e-30 * total:
            k += 1
            term *= x / (a + k)
            total += term
        exact = a * mp.log(x) - x - mp.loggamma(a + 1) + mp.log(total)
        x = float(x)
    assert float(special.log_gamma_cdf(a, x)) == pytest.approx(float(exact), rel=1e-12)


def test_log_gamma_cdf_takes_the_difference_where_a_is_large():
    a, difference = 1e12, 2.5e6
    moved = special.log_gamma_cdf(a, a + difference, difference=difference + 1e-5)
    plain = special.log_gamma_cdf(a, a + difference)
    # 1e-5 is lost in a double near 1e12, but it moves log(1 - P) by -u / sqrt(a) each.
    assert np.log(-moved) - np.log(-plain) == pytest.approx(-1e-5 * 2.8 / 1e6, rel=0.1)
