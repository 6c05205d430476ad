"""`python -m ringsam`."""

import sys

from ringsam.cli import main

sys.exit(main())
