"""``python -m rmt`` is the `rmt` command."""

import sys

from rmt.cli import main

if __name__ == "__main__":
    sys.exit(main())
