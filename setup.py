"""Packaging of PyBal; tool settings are in pyproject.toml.

Floors are the versions of Debian 12, ceilings stay open: both ends are tested.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
_MATCH = re.search(r'__version__ = "([^"]+)"', (ROOT / "pybal/__init__.py").read_text("utf-8"))
if _MATCH is None:
    raise SystemExit("pybal/__init__.py holds no __version__")

TEST_REQUIRES = ["pytest>=7.2", "pytest-timeout>=2.1", "hypothesis>=6.67"]

setup(
    name="pybal",
    version=_MATCH.group(1),
    description="Manages Linux Virtual Server: health checks, pooling, IPVS",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-2.0-or-later",
    packages=find_packages(include=["pybal", "pybal.*"]),
    package_data={"pybal": ["py.typed"], "pybal.page": ["static/*"]},
    python_requires=">=3.11",
    install_requires=[
        "Twisted[tls]>=22.4",
        "pyroute2>=0.7.2",
        "python-etcd>=0.4.5",
        "configobj>=5.0.8",
        "prometheus_client>=0.16",
    ],
    extras_require={
        "test": TEST_REQUIRES,
        "dev": [*TEST_REQUIRES, "ruff>=0.6", "mypy>=1.11"],
    },
    entry_points={
        "console_scripts": ["pybal = pybal.__main__:run", "pybalctl = pybal.ctl.main:main"],
    },
)
