"""`python -m femtotui` is `femtotui`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
