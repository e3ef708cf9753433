"""`python -m pybal`."""

import sys

from pybal.main import main

sys.exit(main())
