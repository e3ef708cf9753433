"""PyBal: manages Linux Virtual Server from the results of health checks."""

__version__ = "2.0.0.dev0"

DEFAULT_CONFIG = "/etc/pybal/pybal.conf"
