"""Directors that are ended after their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pool.site import Begin, Site


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a director whose services have this depool threshold, with these servers."""
    sites: list[Site] = []

    def site(threshold: str, *hosts: str) -> Site:
        sites.append(Site(tmp_path, threshold, *hosts))
        return sites[-1]

    yield site
    for each in sites:
        each.end()
