"""Make ``python -m dynfrac`` the same as the `dynfrac` command."""

import sys

from dynfrac.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
