"""What rmt's speed claims rest on: each a ratio against a named peer, in one run, on one core. See results.md."""
