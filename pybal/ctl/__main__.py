"""`python -m pybal.ctl`."""

import sys

from pybal.ctl.main import main

sys.exit(main())
