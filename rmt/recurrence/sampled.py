"""Norms of recurrences, sampled from an ensemble: without the matrix where that is exact, with it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeGuard

import numpy as np
from numpy.random import Generator

from rmt import checks, parallel, streams
from rmt.ensembles.base import Ensemble
from rmt.ensembles.diagonal import Diagonal
from rmt.ensembles.gaussian import Ginibre, standard_gaussian
from rmt.ensembles.iid import as_ginibre
from rmt.ensembles.product import IndependentProduct
from rmt.kernels import gram, recurrence
from rmt.kernels.variates import variates
from rmt.recurrence.given import squared_norms

METHODS = ("auto", "lazy", "dense")
LARGEST_LAZY_N = 2**53  # n - k is exact in double precision
# Gaussian inputs are drawn about this many numbers at a time.
BLOCK = 1 << 18

Inputs = Callable[[int, int, Generator], Any]
# Fills the squares and powers of one sample from its generator.
Sampler = Callable[[Generator, np.ndarray, np.ndarray], None]


def sample_power_norms(
    ensemble: Ensemble, steps: int, size: int, *, method: str = "auto", log: bool = False, rng: Any = None
) -> np.ndarray:
    """Sample the squared norms of W^k v, k = 0, ..., steps, for v uniform on the unit sphere of the field.

    For :class:`rmt.IndependentProduct`, W^k stands for the product of k independent factors.

    Parameters
    ----------
    ensemble : Ensemble
        Law of W; its docstring states the variance of the entries.
    steps : int
        Largest power.
    size : int
        Number of samples.
    method : {"auto", "lazy", "dense"}
        "lazy" draws only what v meets, at a cost that does not depend on n and exactly in law: of a Ginibre matrix
        the first `steps` columns of its Hessenberg form, of independent Ginibre factors one chi variable each. IID of
        normal entries is Ginibre here. It needs n <= 2^53.
        "dense" draws whole matrices (the diagonal alone for :class:`rmt.Diagonal`).
        "auto" is "lazy" for these ensembles and "dense" for all others.
    log : bool
        Whether to return natural logarithms, which are finite at any number of steps.
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    ndarray of shape (size, steps + 1)
        ``||W^k v||^2``; inf where that exceeds the largest double.

    Raises
    ------
    InputError
        If an argument is out of its range, a matrix or the result does not fit into memory, or the method does not
        fit the ensemble.

    References
    ----------
    Trotter (1984), Adv. Math. 54, 67-82: the Householder reduction of a Gaussian matrix.
    Hanin & Nica (2020), Commun. Math. Phys. 376, 287-322: products of independent matrices.

    Examples
    --------
    >>> import rmt
    >>> norms = rmt.sample_power_norms(rmt.Ginibre(10**6, "complex"), 8, 100, rng=0)
    >>> norms.shape, bool(abs(norms.mean(axis=0) - 1).max() < 0.1)
    ((100, 9), True)
    """
    steps, size = _checked(ensemble, steps, size)
    one: Sampler
    gaussian = as_ginibre(ensemble) or ensemble
    if _is_lazy(gaussian, method):
        if isinstance(gaussian, Ginibre):
            one = _lazy(gram.power, gaussian, steps, np.arange(1, min(steps, ensemble.n) + 1))
        else:
            one = _lazy(gram.product_power, gaussian, steps, np.zeros(steps, np.int64))
    else:
        checks.memory("a vector", ensemble.dtype.itemsize * ensemble.n, n=ensemble.n)
        one = partial(_dense_power, ensemble)
    return squared_norms(*_samples(one, steps + 1, size, rng), log)


def sample_hidden_norms(
    ensemble: Ensemble,
    steps: int,
    size: int,
    *,
    inputs: str | Inputs = "gaussian",
    signal: Any = None,
    method: str = "auto",
    log: bool = False,
    rng: Any = None,
) -> np.ndarray:
    """Sample the squared norms of hidden states, divided by n: h_t = W h_{t-1} + x_t from h_0 = 0.

    For :class:`rmt.IndependentProduct`, W is drawn anew at every step.

    Parameters
    ----------
    ensemble : Ensemble
        Law of W; its docstring states the variance of the entries.
    steps : int
        Number of steps.
    size : int
        Number of samples.
    inputs : "gaussian" or callable
        "gaussian": the entries of all x_t are iid N(0, 1), for the complex field CN(0, 1), so that E ||x_t||^2 = n.
        A callable ``inputs(steps, n, rng)`` returns the inputs (steps, n) of one sample, drawn from the Generator it
        is given; it may be called by several threads.
    signal : array_like of shape (steps, n), optional
        Added to the inputs of every sample.
    method : {"auto", "lazy", "dense"}
        "lazy" samples the norms alone, without W or states, at a cost that does not depend on n and exactly in law;
        for Ginibre, IID of normal entries and IndependentProduct with Gaussian inputs and no signal, n <= 2^53. A
        Ginibre sample takes about steps^3 flops and 20 steps^2 bytes (complex: four times both); where states grow
        beyond 2^22, norms are correct to about 1e-6.
        "dense" draws whole matrices (the diagonal alone for :class:`rmt.Diagonal`) and all states.
        "auto" takes the faster one of those that fit.
    log : bool
        Whether to return natural logarithms, which are finite at any number of steps.
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    ndarray of shape (size, steps)
        ``||h_t||^2 / n`` for t = 1, ..., steps; inf where that exceeds the largest double.

    Raises
    ------
    InputError
        If an argument is out of its range, a matrix or the result does not fit into memory, the inputs or the signal
        are not finite arrays of shape (steps, n), or the method does not fit the ensemble and the inputs.

    Notes
    -----
    The rows of a Ginibre matrix are iid Gaussian, so the component of every state along one axis is a Bayesian
    regression: given the norms and angles of h_1..h_{t-1}, that of h_t is Gaussian with known mean and variance. The
    Gram matrix of the states is then L L^H, L = C B, with B the triangular factor of a Wishart matrix and
    C C^H = I + (scale^2/n) (Z L)(Z L)^H, Z the down shift, which gives L row by row.

    References
    ----------
    Bartlett (1933), Proc. R. Soc. Edinb. 53, 260-283: the triangular factor of a Wishart matrix.
    Hanin & Nica (2020), Commun. Math. Phys. 376, 287-322: products of independent matrices.

    Examples
    --------
    >>> import rmt
    >>> norms = rmt.sample_hidden_norms(rmt.Ginibre(10**6), 8, 100, rng=0)
    >>> norms.shape, bool(abs(norms.mean(axis=0) - [1, 2, 3, 4, 5, 6, 7, 8]).max() < 0.1)
    ((100, 8), True)
    """
    steps, size = _checked(ensemble, steps, size)
    if not callable(inputs) and (not isinstance(inputs, str) or inputs != "gaussian"):
        raise checks.InputError(
            f"inputs must be 'gaussian' or a callable (steps, n, rng) -> (steps, n), got {checks.shown(inputs)}"
        )
    if signal is not None:
        signal = _steps_by_n("signal", signal, steps, ensemble.n)
    one: Sampler
    plain = not callable(inputs) and signal is None
    # Measured from n = 16 to 2048, both fields: the matrix wins from about steps = n on.
    faster = steps <= ensemble.n or isinstance(ensemble, IndependentProduct)
    gaussian = as_ginibre(ensemble) or ensemble
    if _is_lazy(gaussian, method, plain_inputs=plain, faster=faster):
        if isinstance(gaussian, Ginibre):
            one = _lazy(gram.hidden, gaussian, steps, np.minimum(np.arange(steps), min(steps, ensemble.n)))
        else:
            one = _lazy(gram.product_hidden, gaussian, steps, np.zeros(steps, np.int64))
    else:
        checks.memory("a vector", ensemble.dtype.itemsize * ensemble.n, n=ensemble.n)
        one = partial(_dense_hidden, ensemble, inputs if callable(inputs) else None, signal)
    squares, powers = _samples(one, steps, size, rng)
    return squared_norms(squares / ensemble.n, powers, log)


def _checked(ensemble: Any, steps: Any, size: Any) -> tuple[int, int]:
    if not isinstance(ensemble, Ensemble):
        raise checks.InputError(
            f"ensemble must be an rmt ensemble such as rmt.Ginibre(n), got {checks.shown(ensemble)}"
        )
    steps, size = checks.integer("steps", steps), checks.integer("size", size)
    checks.memory("the result", 16 * size * steps, steps=steps, size=size)
    return steps, size


def _is_lazy(
    ensemble: Ensemble, method: str, *, plain_inputs: bool = True, faster: bool = True
) -> TypeGuard[Ginibre | IndependentProduct]:
    """Return whether to go without matrices; InputError where that is asked for and does not exist."""
    method = checks.choice("method", method, METHODS)
    fits = type(ensemble) in (Ginibre, IndependentProduct) and plain_inputs  # a subclass may draw other matrices
    if method == "lazy" and not fits:
        raise checks.InputError(
            "method 'lazy' fits Ginibre, IID of normal entries and IndependentProduct, with inputs='gaussian' and no "
            f"signal; got {ensemble}{'' if plain_inputs else ' with other inputs'}, which method 'dense' fits"
        )
    return fits and (method == "lazy" or (method == "auto" and faster))


def _samples(one: Sampler, length: int, size: int, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    generators = streams.streams(rng, size)
    squares = np.empty((size, length))
    powers = np.empty((size, length), np.int64)
    parallel.thread_map(lambda i: one(generators[i], squares[i], powers[i]), range(size), size)
    return squares, powers


def _lazy(
    kernel: Callable[..., None], ensemble: Ginibre | IndependentProduct, steps: int, known: np.ndarray
) -> Sampler:
    """Return what draws one sample and hands it to `kernel`.

    Step t draws a Gaussian vector of n entries in a basis that holds known[t] <= n vectors: its components along them,
    and the length of the rest.
    """
    n, scale = checks.integer("n", ensemble.n, maximum=LARGEST_LAZY_N), ensemble.scale
    parts = 2 if ensemble.field == "complex" else 1
    short = known < n
    last = np.cumsum(parts * known + short) - 1
    count = int(last[-1]) + 1
    checks.memory("one sample", 16 * parts * count, steps=steps)  # all draws, and no less in the kernel
    places, degrees = last[short], parts * (n - known[short].astype(float))
    return lambda rng, squares, powers: kernel(
        variates(rng.bit_generator, count, places, degrees), n, parts, scale, squares, powers
    )


def _matrices(ensemble: Ensemble, steps: int, block: int, rng: Generator) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield (W, start, stop) for blocks of steps: one matrix for all, or a fresh one for every single step."""
    if isinstance(ensemble, IndependentProduct):
        for step in range(steps):
            yield ensemble.checked_matrix(rng), step, step + 1
        return
    W = ensemble.eigenvalues(rng) if isinstance(ensemble, Diagonal) else ensemble.checked_matrix(rng)
    for start in range(0, steps, block):
        yield W, start, min(start + block, steps)


def _dense_power(ensemble: Ensemble, rng: Generator, squares: np.ndarray, powers: np.ndarray) -> None:
    steps = len(squares) - 1
    v = standard_gaussian(rng, (1, ensemble.n), ensemble.field)
    v = (v / np.linalg.norm(v)).astype(ensemble.dtype, copy=False)
    exponents = np.zeros(1, np.int64)
    for W, start, stop in _matrices(ensemble, steps, steps, rng):
        part = np.s_[None, start : stop + 1]
        recurrence.power(np.require(W, v.dtype, ["C", "W"]), v, exponents, squares[part], powers[part])


def _dense_hidden(
    ensemble: Ensemble,
    inputs: Inputs | None,
    signal: np.ndarray | None,
    rng: Generator,
    squares: np.ndarray,
    powers: np.ndarray,
) -> None:
    steps, n = len(squares), ensemble.n
    given = None if inputs is None else _steps_by_n("the result of inputs", inputs(steps, n, rng), steps, n)
    dtype = np.result_type(ensemble.dtype, *(array for array in (given, signal) if array is not None))
    h = np.zeros((1, n), dtype)
    exponents = np.zeros(1, np.int64)
    for W, start, stop in _matrices(ensemble, steps, max(1, BLOCK // n), rng):
        x = standard_gaussian(rng, (stop - start, n), ensemble.field) if given is None else given[start:stop]
        if signal is not None:
            x = x + signal[start:stop]
        part = np.s_[None, start:stop]
        W, x = (np.require(array, dtype, ["C", "W"]) for array in (W, x))
        recurrence.hidden(W, x[None], h, exponents, False, squares[part], powers[part])


def _steps_by_n(name: str, value: Any, steps: int, n: int) -> np.ndarray:
    array = checks.array(name, value)
    if array.shape != (steps, n):
        raise checks.InputError(f"{name} must have shape (steps, n) = {(steps, n)}, got shape {array.shape}")
    return array
