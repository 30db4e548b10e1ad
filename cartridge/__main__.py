"""`python -m cartridge` is the `cartridge` command."""

import sys

from cartridge.command import main

if __name__ == "__main__":
    sys.exit(main())
