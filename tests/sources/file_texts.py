"""Pool files with one server and with two."""

from __future__ import annotations

TWO = "{ 'host': 'a', 'weight': 10, 'enabled': True }\n# comment\n\n{ 'host': 'b' }\n"

ONE_DISABLED = "{'host': 'a', 'enabled': False}\n{'host': 'b'}\n"
