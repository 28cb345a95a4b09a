"""Monte Carlo random-matrix toolkit for linear recurrences h_t = W h_{t-1} + x_t.

    ensemble  ->  statistic  ->  sample  ->  law / fit  ->  campaign  ->  table, figure, report

Start with ``rmt.SpectralRadiusLaw(n)``, the exact law of the spectral radius of a Glorot matrix, or with
``rmt.rescaled_gain(n)``, the factor that makes it stable.
"""

# Each block below belongs to one floor of the house (docs/architecture.md).

# isort: off

# laws
from rmt.laws.density import expected_real_eigenvalues, modulus_density
from rmt.laws.gumbel import GumbelLimit, gamma_n, rescaled_gain
from rmt.laws.moments import log_mean_hidden_norm, log_mean_power_norm, mean_hidden_norm, mean_power_norm
from rmt.laws.radius import SpectralRadiusLaw

# ensembles
from rmt.ensembles.base import Ensemble
from rmt.ensembles.diagonal import Diagonal
from rmt.ensembles.gaussian import Ginibre, glorot, halved_glorot, halved_variance_glorot, rescaled_glorot
from rmt.ensembles.haar import Haar
from rmt.ensembles.iid import IID, truncated_glorot
from rmt.ensembles.product import IndependentProduct
from rmt.ensembles.state_space import StateSpace

# fits
from rmt.fitting import GumbelFit, fit_gumbel, gumbel_distance

# statistics
from rmt.recurrence import hidden_norms, power_norms, sample_hidden_norms, sample_power_norms
from rmt.spectra.certificate import CertificationError
from rmt.spectra.given import RadiusResult, spectral_abscissa, spectral_radius
from rmt.spectra.sampled import sample_eigenvalue_moduli, sample_eigenvalues, sample_spectral_radius

# weights of a user
from rmt.audit import audit_weights

# campaigns
from rmt import campaign, checks, initializers

# isort: on

__version__ = "0.1.0"

__all__ = [
    "IID",
    "CertificationError",
    "Diagonal",
    "Ensemble",
    "Ginibre",
    "GumbelFit",
    "GumbelLimit",
    "Haar",
    "IndependentProduct",
    "RadiusResult",
    "SpectralRadiusLaw",
    "StateSpace",
    "audit_weights",
    "campaign",
    "checks",
    "expected_real_eigenvalues",
    "fit_gumbel",
    "gamma_n",
    "glorot",
    "gumbel_distance",
    "halved_glorot",
    "halved_variance_glorot",
    "hidden_norms",
    "initializers",
    "log_mean_hidden_norm",
    "log_mean_power_norm",
    "mean_hidden_norm",
    "mean_power_norm",
    "modulus_density",
    "power_norms",
    "rescaled_gain",
    "rescaled_glorot",
    "sample_eigenvalue_moduli",
    "sample_eigenvalues",
    "sample_hidden_norms",
    "sample_power_norms",
    "sample_spectral_radius",
    "spectral_abscissa",
    "spectral_radius",
    "truncated_glorot",
]
