"""Orthogonal and unitary matrices of the uniform law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.gaussian import standard_gaussian


@dataclass(frozen=True)
class Haar(Ensemble):
    """Uniform orthogonal (real) or unitary (complex) matrices: the Haar measure on O(n) or U(n).

    The entries have mean zero and variance ``1 / n``; all eigenvalues lie on the unit circle.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Orthogonal or unitary.

    Raises
    ------
    InputError
        If n < 1 or the field is unknown.

    References
    ----------
    Mezzadri (2007), Notices of the AMS 54, 592-604, section 5: QR needs the phases of R's diagonal.
    Diaconis & Shahshahani (1994), J. Appl. Probab. 31A, 49-62: the moments of the trace.

    Examples
    --------
    >>> import rmt
    >>> import numpy as np
    >>> Q = rmt.Haar(3).draw(rng=0)
    >>> np.allclose(Q @ Q.T, np.eye(3))
    True
    """

    n: int
    field: str = "real"

    def __post_init__(self) -> None:
        self._canonical(n=checks.integer("n", self.n), field=checks.field(self.field))

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""
        Q, R = np.linalg.qr(standard_gaussian(rng, (self.n, self.n), self.field))
        # The factorisation is unique, and so its law is invariant, once the diagonal of R is positive.
        diagonal = np.diagonal(R)
        return Q * (diagonal / np.abs(diagonal))

    def radius(self, rng: Generator) -> float:
        """Return the spectral radius, which is 1 without a draw."""
        return 1.0
