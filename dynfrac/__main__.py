"""Make ``python -m dynfrac`` the same as the `dynfrac` command."""

import sys

from dynfrac.cli.main import main

sys.exit(main())
