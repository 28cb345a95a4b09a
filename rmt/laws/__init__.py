"""Pure mathematics: exact laws, limit laws, densities and moments."""
