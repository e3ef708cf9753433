"""Every key of a service's section, and what services of one file must agree on."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.problems import Severity
from pybal.config.settings import (
    EtcdSource,
    FileSource,
    HTTPSource,
    KubernetesSource,
    ListGuardSettings,
    ServiceSettings,
    SourceSettings,
)
from pybal.ipvs.model import SCHEDULERS, Forwarding
from pybal.ipvs.options import ServiceOptions
from pybal.model import L4Protocol
from pybal.monitors.idleconnection import IdleConnectionSettings
from tests.config.texts import (
    FILE,
    GLOBAL_BGP,
    REQUIRED,
    only_problem,
    only_service,
    parse,
    problem_of,
    service,
    settings,
    shown,
)


def test_a_service_takes_its_defaults() -> None:
    assert only_service(service("web_80")) == ServiceSettings(
        name="web_80",
        protocol=L4Protocol.TCP,
        address=ip_address("192.0.2.1"),
        port=80,
        scheduler="wrr",
        one_packet=False,
        source=FileSource(Path("/etc/pybal/pool")),
        depool_threshold=Fraction(1, 2),
        monitors=(IdleConnectionSettings(),),
    )


def test_a_service_takes_what_is_set() -> None:
    found = only_service(
        service(
            protocol="udp",
            ip="2001:db8::1",
            port="65535",
            scheduler="mh",
            ops="True",
            tunneling="true",
            depool_threshold="0.66",
            bgp="no",
            bgp_med="100",
        )
    )
    assert (found.protocol, found.address) == (L4Protocol.UDP, ip_address("2001:db8::1"))
    assert (found.port, found.scheduler) == (65535, "mh")
    assert (found.one_packet, found.ipvs) == (True, ServiceOptions(Forwarding.TUNNEL))
    assert found.depool_threshold == Fraction(66, 100)
    assert (found.bgp.announced, found.bgp.med) == (False, 100)


@pytest.mark.parametrize("text", ["5e-1", "5E-01", ".05e1", "50e-2"])
def test_a_threshold_may_be_written_as_any_decimal_number(text: str) -> None:
    assert only_service(service(depool_threshold=text)).depool_threshold == Fraction(1, 2)


def test_services_keep_the_order_of_the_file() -> None:
    text = "[global]\n" + "".join(service(name, port=str(i)) for i, name in enumerate("zayb", 1))
    assert [s.name for s in settings(text).services] == ["z", "a", "y", "b"]


@pytest.mark.parametrize("key", [key for key in REQUIRED if key != "monitors"])
@pytest.mark.parametrize("value", [None, "", "(unspecified)", '""', "# comment"])
def test_a_required_key_must_have_a_value(key: str, value: str | None) -> None:
    problem = only_problem("[global]\n" + service(**{key: value}))
    line = 2 if value is None else 3 + list(REQUIRED).index(key)
    assert (problem.severity, problem.line, problem.section) == (Severity.ERROR, line, "svc")
    assert (problem.key, problem.value) == (key, None)
    assert problem.message.startswith("not set; must be ")


SCHEDULER_LIST = "one of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf or mh"
NO_HOST = "not an unspecified, multicast or broadcast one"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocol", "icmp", "must be one of tcp, udp or sctp"),
        ("ip", "www.example.org", "must be an IPv4 or IPv6 address"),
        ("ip", "192.0.2.300", "must be an IPv4 or IPv6 address"),
        ("ip", "[2001:db8::1]", "must be an IPv4 or IPv6 address; write it without brackets"),
        ("ip", "fe80::1%eth0", "must be an IPv4 or IPv6 address"),
        ("ip", "0.0.0.0", f"must be an IPv4 or IPv6 address; {NO_HOST}"),
        ("ip", "ff02::1", f"must be an IPv4 or IPv6 address; {NO_HOST}"),
        ("port", "0", "must be a port from 1 to 65535"),
        ("port", "65536", "must be a port from 1 to 65535"),
        ("port", "http", "must be a port from 1 to 65535"),
        ("port", "80.0", "must be a port from 1 to 65535"),
        ("scheduler", "wr", f"must be {SCHEDULER_LIST}; did you mean wrr?"),
        ("scheduler", "best", f"must be {SCHEDULER_LIST}"),
        ("ops", "perhaps", "must be yes or no"),
        ("ops", "yes", "must be no with tcp: one-packet scheduling is for udp"),
        ("tunneling", "ipip", "must be yes or no"),
        ("depool-threshold", "1.5", "must be a number from 0 to 1"),
        ("list-floor", "1.5", "must be a number from 0 to 1"),
        ("list-window", "0", "must be a number of seconds above 0"),
        ("list-hold", "0", "must be a number of seconds above 0, or never"),
        ("list-hold", "soon", "must be a number of seconds above 0, or never"),
        ("depool-threshold", "-0.1", "must be a number from 0 to 1"),
        ("depool-threshold", "50%", "must be a number from 0 to 1; write 0.5"),
        ("depool-threshold", "1/2", "must be a number from 0 to 1"),
        ("depool-threshold", ".", "must be a number from 0 to 1"),
        ("depool-threshold", "nan", "must be a number from 0 to 1"),
        ("depool-threshold", "1e-400000000", "must be a number from 0 to 1"),
        ("depool-threshold", "0." + "1" * 50, "must be a number from 0 to 1"),
        ("bgp", "ja", "must be yes or no"),
        ("bgp-med", "low", "must be a whole number from 0 to 4294967295"),
    ],
)
def test_a_bad_value_says_what_would_be_right(key: str, value: str, message: str) -> None:
    problem = problem_of(key, "[global]\n" + service(**{key.replace("-", "_"): value}))
    assert (problem.severity, problem.section, problem.value) == (Severity.ERROR, "svc", value)
    assert problem.message == message


def test_a_problem_reads_as_promised() -> None:
    text = "[global]\n" + service(depool_threshold="1.5")
    assert shown(text) == [
        "pybal.conf:9: [svc] depool-threshold = '1.5': must be a number from 0 to 1"
    ]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_of_ipvs_is_known(name: str) -> None:
    assert only_service(service(scheduler=name)).scheduler == name


@pytest.mark.parametrize(
    ("text", "value"),
    [(".5", "1/2"), ("0.66", "33/50"), ("0", "0"), ("1", "1"), ("1.", "1"), ("0.07", "7/100")],
)
def test_a_threshold_is_exact(text: str, value: str) -> None:
    assert only_service(service(depool_threshold=text)).depool_threshold == Fraction(value)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("file:///etc/pybal/a.json", FileSource(Path("/etc/pybal/a.json"))),
        ("file:///etc/pybal/a b", FileSource(Path("/etc/pybal/a b"))),
        ("http://config-master/pools/web", HTTPSource("http://config-master/pools/web")),
        ("HTTPS://host.example:8443/a?b=%20c", HTTPSource("https://host.example:8443/a?b=%20c")),
        ("http://[2001:db8::1]/a", HTTPSource("http://[2001:db8::1]/a")),
        ("etcd://conf1.example/a/b/", EtcdSource("conf1.example", 2379, "/a/b/")),
        ("etcd://conf1.example:4001/a/b", EtcdSource("conf1.example", 4001, "/a/b/")),
        ("etcd://[2001:db8::1]:1/a//", EtcdSource("2001:db8::1", 1, "/a/")),
        ("k8s://to.k-en@api.example", KubernetesSource("api.example", 443, "to.k-en")),
        ("k8s://a@b/c=@192.0.2.1:6443/", KubernetesSource("192.0.2.1", 6443, "a@b/c=")),
    ],
)
def test_every_scheme_of_sources(text: str, source: SourceSettings) -> None:
    assert only_service(service(config=text)).source == source


@pytest.mark.parametrize(
    ("text", "shown_value", "message"),
    [
        ("/etc/pybal/pool", "/etc/pybal/pool", "must be one of file:///absolute/path, http://"),
        ("/etc/pybal/pool", "/etc/pybal/pool", "; did you mean file:///etc/pybal/pool?"),
        ("ftp://host/pool", "***", "its scheme is unknown"),
        ("file://etc/pool", "file://etc/pool", "must be file:///absolute/path"),
        ("file:///", "file:///", "must be file:///absolute/path"),
        ("file:///a\x07b", "file:///a\x07b", "must be file:///absolute/path"),
        ("http:///pool", "http:///pool", "no valid host and port"),
        ("http://host:0/", "http://host:0/", "no valid host and port"),
        ("http://host:99999/", "http://host:99999/", "no valid host and port"),
        ("http://me:secret@host/", "http://***@host/", "user or password"),
        ("http://ho st/", "http://ho st/", "holds a space"),
        ("http://höst/", "http://höst/", "not printable ASCII"),
        ("etcd://host", "etcd://host", "must be etcd://host[:port]/key/"),
        ("etcd://host/", "etcd://host/", "must be etcd://host[:port]/key/"),
        ("etcd://host:x/a", "etcd://host:x/a", "must be etcd://host[:port]/key/"),
        ("etcd://me:secret@host/a", "etcd://***@host/a", "must be etcd://host[:port]/key/"),
        ("etcd://host/a?b", "etcd://host/a?b", "must be etcd://host[:port]/key/"),
        ("k8s://secret@host:99999", "k8s://***@host:99999", "must be k8s://TOKEN@host[:port]"),
        ("k8s://secret@host/x", "k8s://***@host/x", "must be k8s://TOKEN@host[:port]"),
        ("k8s://secret", "k8s://***", "must be k8s://TOKEN@host[:port]"),
        ("k8s://@host", "k8s://***@host", "must be k8s://TOKEN@host[:port]"),
        ("k8s:secret@host", "***@host", "must be one of"),
        ("ks8://secret@host", "***@host", "its scheme is unknown"),
        ("ks8://secret", "***", "its scheme is unknown; did you mean k8s?"),
        ("htp://host/pool", "***", "its scheme is unknown; did you mean http?"),
        ("secret", "***", "must be one of"),
    ],
)
def test_a_bad_source_says_the_right_form_and_no_secret(
    text: str, shown_value: str, message: str
) -> None:
    problem = problem_of("config", "[global]\n" + service(config=text))
    assert problem.value == shown_value
    assert message in problem.message
    assert "secret" not in str(problem)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("depool-treshold", "; did you mean depool-threshold?"),
        ("idlecnnection.max-delay", "; did you mean idleconnection.max-delay?"),
        ("proxyfetch.http-status", "; did you mean proxyfetch.http_status?"),
        ("idleconnection.keepalive-intervall", "; did you mean idleconnection.keepalive-interval?"),
        ("weather", ""),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(key: str, hint: str) -> None:
    problem = only_problem(f"[global]\n{service()}{key} = 1\n")
    assert (problem.severity, problem.line, problem.section) == (Severity.WARNING, 9, "svc")
    assert (problem.key, problem.message) == (key, f"unknown key, ignored{hint}")


@pytest.mark.parametrize(
    "name", ["a/b", ".", "..", ".hidden", "a b", "a?b", "a%2fb", "x" * 201, "a\x07b"]
)
def test_a_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    problem = only_problem("[global]\n" + service(name))
    assert (problem.severity, problem.line, problem.section) == (Severity.ERROR, 2, name)
    assert "part of a URL" in problem.message
    assert str(problem).isprintable()


def test_two_services_on_one_protocol_address_and_port_are_an_error_that_names_both() -> None:
    text = f"[global]\n{service('first')}{service('second')}"
    assert shown(text) == [
        f"{FILE}:12: [second] port = '80': tcp port 80 of 192.0.2.1 is already [first] (line 2)"
    ]


def test_the_same_address_in_another_spelling_is_the_same() -> None:
    text = f"[global]\n{service('a', ip='2001:db8::1')}{service('b', ip='2001:DB8:0::1')}"
    assert only_problem(text).key == "port"


def test_two_services_collide_even_if_one_has_another_error() -> None:
    text = f"[global]\n{service('a', depool_threshold='9')}{service('b')}"
    assert [p.key for p in parse(text, FILE).problems] == ["depool-threshold", "port"]


@pytest.mark.parametrize("change", [{"protocol": "udp"}, {"port": "81"}, {"ip": "192.0.2.2"}])
def test_services_that_differ_in_one_of_the_three_are_fine(change: dict[str, str]) -> None:
    settings(f"[global]\n{service('a')}{service('b', **change)}")


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("0", "100", "MED 100 differs from 0"),
        (None, "5", "MED 5 differs from 7"),
        ("5", None, "MED 7 differs from 5"),
    ],
)
def test_two_meds_on_one_address_are_an_error_that_names_both(
    first: str | None, second: str | None, named: str
) -> None:
    services = service("a", bgp_med=first) + service("b", port="81", bgp_med=second)
    problem = only_problem(f"{GLOBAL_BGP}bgp-med = 7\n{services}")
    assert (problem.severity, problem.section, problem.key) == (Severity.ERROR, "b", "bgp-med")
    assert problem.message == (
        f"{named} of [a] (line 8); both announce 192.0.2.1, which can have one only"
    )


def test_meds_that_come_to_the_same_are_fine() -> None:
    text = f"{GLOBAL_BGP}bgp-med = 7\n{service('a', bgp_med='7')}{service('b', port='81')}"
    assert len(settings(text).services) == 2


def test_meds_matter_only_between_what_is_announced() -> None:
    second = service("b", port="81", bgp_med="5", bgp="no")
    settings(f"{GLOBAL_BGP}{service('a', bgp_med='0')}{second}")
    settings(f"[global]\n{service('a', bgp_med='0')}{service('b', port='81', bgp_med='5')}")


@pytest.mark.parametrize("where", ["global", "service"])
def test_a_bad_med_is_one_error_and_starts_no_others(where: str) -> None:
    own = "x" if where == "service" else None
    general = "bgp-med = x\n" if where == "global" else ""
    text = f"{GLOBAL_BGP}{general}{service('a', bgp_med=own)}{service('b', port='81', bgp_med='5')}"
    assert only_problem(text).value == "x"


def test_a_service_drains_only_if_told_to() -> None:
    assert only_service(service()).drain_timeout_s is None
    assert only_service(service(drain_timeout="300")).drain_timeout_s is None
    assert only_service(service(depool_method="remove")).drain_timeout_s is None
    assert only_service(service(depool_method="drain")).drain_timeout_s == 300
    assert only_service(service(depool_method="drain", drain_timeout="2.5")).drain_timeout_s == 2.5


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("depool-method", "drian", "must be remove or drain; did you mean drain?"),
        ("drain-timeout", "0", "must be a number of seconds above 0"),
        ("drain-timeout", "soon", "must be a number of seconds above 0"),
    ],
)
def test_a_bad_way_of_depooling_says_what_would_be_right(
    key: str, value: str, message: str
) -> None:
    problem = only_problem("[global]\n" + service(**{key.replace("-", "_"): value}))
    assert (problem.severity, problem.key, problem.value) == (Severity.ERROR, key, value)
    assert problem.message == message


def test_a_time_to_drain_that_has_no_effect_is_told() -> None:
    problem = only_problem("[global]\n" + service(drain_timeout="5"))
    assert (problem.severity, problem.key) == (Severity.WARNING, "drain-timeout")
    assert "depool-method = drain" in problem.message
    of_all = "[DEFAULT]\ndrain-timeout = 5\n[global]\n"
    (found,) = settings(of_all + service()).services
    assert found.drain_timeout_s is None


def test_the_list_guard_is_the_services_own_or_that_of_global() -> None:
    text = "[global]\nlist-floor = .8\nlist-hold = 3600\n"
    own = service("own", list_floor="0", list_hold="never", list_window="60")
    found = settings(text + service() + own.replace("192.0.2.1", "192.0.2.2")).services
    assert [s.list_guard for s in found] == [
        ListGuardSettings(Fraction("0.8"), 900.0, 3600.0),
        ListGuardSettings(Fraction(0), 60.0, None),
    ]


def test_the_list_floor_is_the_depool_threshold_by_default() -> None:
    found = only_service(service(depool_threshold=".3"))
    assert found.list_floor == Fraction("0.3")
    assert only_service(service(list_floor=".9")).list_floor == Fraction("0.9")
