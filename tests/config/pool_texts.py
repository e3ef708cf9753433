"""Texts and documents, read as pool lists; hosts and servers for lists at random."""

from __future__ import annotations

import json

import pytest
from hypothesis import strategies as st

from pybal.config.pool_list import (
    MAX_WEIGHT,
    PoolList,
    parse_pool_list,
)
from pybal.errors import SourceError
from pybal.model import ServerSpec

HTML = "<!DOCTYPE html>\n<html>\n<body>\n<h1>502 Bad Gateway</h1>\n</body>\n</html>\n"

GOOD = "{ 'host': 'good' }"


def text_list(text: str) -> PoolList:
    return parse_pool_list(text, json_format=False)


def json_list(document: object) -> PoolList:
    return parse_pool_list(json.dumps(document), json_format=True)


def refusal(text: str, *, json_format: bool) -> str:
    with pytest.raises(SourceError) as caught:
        parse_pool_list(text, json_format=json_format)
    return str(caught.value)


HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z]{2,5}){0,3}", fullmatch=True)

SPECS = st.builds(ServerSpec, HOSTS, st.integers(0, MAX_WEIGHT), st.booleans())
