"""Eigenvalues, spectral radius and abscissa: of given matrices and of ensembles."""
