"""The `rmt` command: parses, calls one function, prints."""

from rmt.cli.entry import main as main
