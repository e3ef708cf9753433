"""Words of a keepalived.conf that are no paths or numbers as they are expected."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from pybal.config.pool_list import parse_pool_list
from pybal.migration.main import translate
from pybal.migration.writing import pool_list, pybal_conf
from tests.config.texts import parse
from tests.migration.test_keepalived import WEB, only, server


@pytest.mark.parametrize(
    ("path", "url"),
    [("health", "/health"), ("/health", "/health"), ("", "/"), ("?a=b", "/?a=b"), ("//x", "//x")],
)
def test_a_path_never_becomes_part_of_the_hosts_name(path: str, url: str) -> None:
    service, remarks = only(server(f'HTTP_GET {{\nurl {{\npath "{path}"\n}}\n}}'))
    assert service.keys["proxyfetch.url"] == f"[ 'http://198.51.100.80{url}' ]"
    assert remarks == []


IN_VAIN = {
    "port": "virtual_server 192.0.2.1 WORD {\n}",
    "mark": "virtual_server fwmark WORD {\n}",
    "range": "virtual_server 192.0.2.1-WORD 80 {\n}",
    "server's port": "virtual_server 192.0.2.1 80 {\nreal_server 192.0.2.2 WORD {\n}\n}",
    "weight": WEB.replace("weight 3", "weight WORD"),
    "timeout": WEB.replace("connect_timeout 2", "connect_timeout WORD"),
    "retry": WEB.replace("retry 2", "retry WORD"),
    "all checkers' timeout": WEB.replace("connect_timeout 2", "").replace(
        "protocol TCP", "connect_timeout WORD"
    ),
    "all checkers' retry": WEB.replace("protocol TCP", "retry WORD"),
    "a server's interval": WEB.replace("weight 3", "delay_loop WORD"),
}


@pytest.mark.parametrize("word", ["²", "٣", "1" * 5000, "99999999999", "-1", "x", '""'])
@pytest.mark.parametrize("text", IN_VAIN.values(), ids=IN_VAIN.keys())
def test_what_is_no_number_here_is_said(text: str, word: str) -> None:
    services, remarks = translate(text.replace("WORD", word))
    assert remarks
    assert parse(pybal_conf(services, remarks, "x", PurePath("/p"))).errors == ()
    for service in services:
        if not service.unusable:
            assert parse_pool_list(pool_list(service), json_format=False).problems == ()
