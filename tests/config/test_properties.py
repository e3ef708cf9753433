"""Whatever the text of a pybal.conf, the answer is a LoadResult."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config.texts import FILE, GLOBAL_BGP, KINDS, REQUIRED, parse, report, service
from tests.examples import examples

KEYS = [
    *REQUIRED, *KINDS.option_keys,
    "bgp", "bgp-med", "ops", "tunneling", "depool-threshold",
    "bgp-local-asn", "bgp-peer-address", "bgp-as-path", "bgp-nexthop-ipv6", "bgp-local-ips",
    "instrumentation", "instrumentation_ips", "instrumentation-port", "state-directory", "dryrun",
    "control-socket", "control-socket-group",
    "bgp-password", "nonsense",
]  # fmt: skip
VALUES = [
    *REQUIRED.values(), "", "yes", "no", "udp", "0", "1", "-1", "0.5", "9" * 30, "x",
    "['UDP', 'DNSQuery', 'ProxyFetch', 'RunCommand']", "['192.0.2.1', '::1']", "[", "['a'", "[1]",
    "[[]]", "(unspecified)",
    "http://h/", "https://[::1]:x/", "etcd://h/k", "k8s://secret@h", "k8s://secret", "2001:db8::1",
    "'''", '"""', "/bin/true", "[server.host, server.x]", "# c", "'q'", "%(x)s", "\u0661", "\u2028",
]  # fmt: skip
ENTRY = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES) | st.text(max_size=8)).map(
    " = ".join
)
LINE = st.one_of(
    ENTRY,
    st.sampled_from(["[global]", "[a]", "[b]", "[[peer x]]", "[a", "", "# c"]),
    st.text(max_size=8),
)
TEXT = st.lists(LINE, max_size=25).map("\n".join)


def check(text: str) -> None:
    result = parse(text, FILE)
    assert (result.settings is None) == bool(result.errors)
    lines = [problem.line or 0 for problem in result.problems]
    assert lines == sorted(lines)
    assert all(str(problem).isprintable() for problem in result.problems)
    assert not any("secret" in str(problem) for problem in result.problems)
    assert all(line.isprintable() for line in report(result))


@settings(max_examples=examples(1.5))
@given(st.text() | TEXT)
def test_any_text_has_a_result(text: str) -> None:
    check(text)


@settings(max_examples=examples(1.5))
@given(st.lists(ENTRY, max_size=4), st.lists(ENTRY, max_size=4))
def test_a_good_file_with_changed_lines_has_a_result(
    of_global: list[str], of_service: list[str]
) -> None:
    check("\n".join([GLOBAL_BGP, *of_global, service(), *of_service]))
