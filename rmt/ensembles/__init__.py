"""Random matrices, described: what is drawn, with which variance."""
