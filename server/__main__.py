"""`python -m chargehand.server` is the `chargehand` command."""

import sys

from .cli import main

sys.exit(main())
