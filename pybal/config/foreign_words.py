"""Words of other load balancers' files, and what PyBal has instead. Pure."""

from __future__ import annotations

_LIST = "servers stand in the pool list that `config` names, one a line"
_MONITORS = "checks are named in monitors = ['IdleConnection', 'ProxyFetch', …]"
_INTERVAL = "use MONITOR.interval, for example proxyfetch.interval"
_TIMEOUT = "use MONITOR.timeout, for example proxyfetch.timeout"
_FALL = "use MONITOR.fall, for example proxyfetch.fall: so many failures in a row count"
_RISE = "use MONITOR.rise, for example proxyfetch.rise: so many successes in a row count"
_PORT = "use MONITOR.port, for example proxyfetch.port"
_SOURCE = "use MONITOR.source-address, for example proxyfetch.source-address"
_METHOD = "use forwarding-method (direct, tunnel or masquerade)"
_WHO = "PyBal needs no neighbour: every director announces with its own bgp-med in [global]"
_ALERTS = "PyBal calls nobody: let monitoring read /alerts and /metrics (instrumentation = yes)"
_NO_SORRY = (
    "there is no spare server: depool-threshold keeps servers pooled when too many are down, and"
    " bgp-withdraw-on-down leaves the address to another director"
)
_STICKY = "use persistence-timeout, or a scheduler that hashes (sh, mh)"
_DRAIN = "use depool-method = drain"
_FLAGS = "use scheduler-flags"

_INSTEAD = {
    # keepalived
    "lb-algo lvs-sched": "use scheduler",
    "lb-kind lvs-method": _METHOD,
    "delay-loop": _INTERVAL,
    "real-server": _LIST,
    "virtual-server virtual-server-group": "a service is a [section] with protocol, ip and port",
    "sorry-server sorry-server-inhibit sorry-server-lvs-method": _NO_SORRY,
    "quorum": "use depool-threshold, or bgp-withdraw-on-down",
    "quorum-up quorum-down": "use bgp-withdraw-on-down",
    "hysteresis": "use MONITOR.rise and MONITOR.fall",
    "alpha": "a server new in the pool list is pooled at once, until a check fails",
    "omega": "a stop leaves the kernel's table as it is",
    "inhibit-on-failure": _DRAIN,
    "persistence-granularity": "use persistence-netmask",
    "persistence-engine": "use persistence-engine = sip, over udp, with persistence-timeout",
    "retry nb-get-retry nb-sock-retry delay-before-retry": _FALL,
    "warmup": "first checks are spread over the interval by themselves",
    "connect-timeout": _TIMEOUT,
    "connect-port": _PORT,
    "connect-ip": "checks go to the server's own address",
    "bindto bind-to": _SOURCE,
    "bind-port": "the source port of checks is the kernel's to pick",
    "http-get ssl-get": "use monitors = ['ProxyFetch'] and proxyfetch.url",
    "tcp-check smtp-check": "use monitors = ['TCPCheck'], or ['IdleConnection']",
    "dns-check": "use monitors = ['DNSQuery'] and dnsquery.hostnames",
    "udp-check": "use monitors = ['UDP']",
    "ping-check": "use monitors = ['Ping']",
    "misc-check": "use monitors = ['RunCommand'] and runcommand.command",
    "bfd-check": "BFD is for routers here: bgp-bfd in [global]",
    "misc-path checkcommand external-check": "use runcommand.command",
    "misc-timeout": "use runcommand.timeout",
    "misc-dynamic": "a command says up (status 0) or down; weights stand in the pool list",
    "digest regex": "use proxyfetch.expect",
    "status-code": "use proxyfetch.http_status",
    "virtualhost": "the host of proxyfetch.url is the Host header",
    "uthreshold": "use upper-threshold",
    "lthreshold": "use lower-threshold",
    "sh-port sh-fallback mh-port mh-fallback flag-1 flag-2 flag-3": _FLAGS,
    "ha-suspend": _WHO,
    "notify notify-up notify-down notify-master notify-backup notify-fault": _ALERTS,
    "smtp-alert notification-email notification-email-from smtp-server smtp-connect-timeout"
    " emailalert emailalertfrom emailalertfreq": _ALERTS,
    "vrrp-instance vrrp-script vrrp-sync-group virtual-router-id virtual-ipaddress priority"
    " advert-int nopreempt": _WHO,
    "lvs-sync-daemon lvs-sync-daemon-interface": "use ipvs-sync-daemon and"
    " ipvs-sync-interface in [global]",
    "router-id": "use bgp-router-id in [global]",
    "lvs-timeouts": "use ipvs-tcp-timeout, ipvs-tcpfin-timeout and ipvs-udp-timeout in [global]",
    "lvs-flush lvs-flush-onstop": "use ipvs-cleanup in [global]",
    # HAProxy
    "balance": "use scheduler",
    "bind": "use ip and port",
    "mode": "use protocol",
    "server server-template default-server": _LIST,
    "frontend backend listen default-backend use-backend": (
        "a service is a [section]; balancing is by address and port alone (layer 4)"
    ),
    "acl http-request http-response redirect": "PyBal balances connections and never reads them",
    "option httpchk check tcpchk http-check": _MONITORS,
    "inter fastinter downinter": _INTERVAL,
    "rise": _RISE,
    "fall": _FALL,
    "retries": _FALL,
    "maxconn fullconn": "use upper-threshold: connections to one server",
    "source usesrc": _SOURCE,
    "stick stick-table cookie appsession": _STICKY,
    "slowstart": "there is none: give a new server a smaller weight in the pool list for a while",
    "backup": _NO_SORRY,
    "stats": "use instrumentation = yes in [global]",
    # ldirectord
    "virtual": "a service is a [section] with protocol, ip and port",
    "real": _LIST,
    "fallback": _NO_SORRY,
    "service checktype": _MONITORS,
    "request": "use proxyfetch.url, or tcpcheck.send",
    "receive": "use proxyfetch.expect, or tcpcheck.expect",
    "httpmethod": "use proxyfetch.method",
    "checkport": _PORT,
    "checkinterval": _INTERVAL,
    "checktimeout negotiatetimeout": _TIMEOUT,
    "checkcount failurecount": _FALL,
    "quiescent": _DRAIN,
    "persistent": "use persistence-timeout",
    "netmask": "use persistence-netmask",
    "autoreload": "the pool list is watched by itself",
    "supervised": "PyBal stays in the foreground by itself",
    "callback monitorfile": _ALERTS,
    "login passwd secret database": (
        "no monitor logs in: use runcommand.command with a check that does"
    ),
    "cleanstop": "a stop leaves the kernel's table as it is",
    "log logfile syslog": "all is logged to stderr, which systemd or rsyslog keeps; see log-level",
    "daemon fork": "PyBal stays in the foreground by itself",
    "pidfile": "PyBal keeps none: systemd knows its process",
    # Seesaw
    "vserver vservers vserver-entry": "a service is a [section] with protocol, ip and port",
    "lb-mode": _METHOD,
    "one-packet": "use ops",
    "server-low-watermark server-high-watermark quorum-percent": (
        "use depool-threshold, and bgp-withdraw-on-down"
    ),
    "anycast-enabled anycast": "use bgp = yes",
    # nginx, Envoy and others
    "upstream cluster endpoints hosts members nodes servers backends pool": _LIST,
    "proxy-pass": _LIST,
    "ip-hash": "use scheduler = sh",
    "least-conn": "use scheduler = lc or wlc",
    "max-fails unhealthy-threshold": _FALL,
    "healthy-threshold": _RISE,
    "fail-timeout": _INTERVAL,
    "max-conns": "use upper-threshold: connections to one server",
    "lb-policy algorithm lb-method load-balancing-method": "use scheduler",
    "health-check health-checks healthcheck healthchecks health-monitor": _MONITORS,
    "vip address virtual-address": "use ip",
    "listen-port": "use port",
    "weight enabled host": _LIST,
    "forward forwarding nat dr tun dsr masq masquerade": _METHOD,
    "send-proxy send-proxy-v2 proxy-protocol accept-proxy": (
        "packets go to the servers as they are: they see the client's address without it"
    ),
    "ssl tls crt certificate ssl-certificate": (
        "TLS ends at the servers; proxyfetch.url = https://... checks it"
    ),
    "state vrrp-version vrrp": _WHO,
    "asn local-as my-as": "use bgp-local-asn in [global]",
    "peer neighbor neighbour peers": "use bgp-peer-address in [global]",
    "remote-as peer-as": "use bgp-peer-asn in [global]",
    "bgp-peer-ip bgp-peers bgp-neighbor bgp-neighbour": "use bgp-peer-address in [global]",
    "bgp-nexthop bgp-next-hop": "use bgp-nexthop-ipv4 and bgp-nexthop-ipv6 in [global]",
    "bgp-md5 bgp-md5-password bgp-secret": "use bgp-password in [global]",
    "nameserver resolver resolvers": "name servers are those of /etc/resolv.conf",
    "user group uid gid chroot": "commands of monitors run as runcommand-user in [global]",
    # a monitor's options without its name
    "interval": _INTERVAL,
    "timeout": _TIMEOUT,
    "url urls path uri": "use proxyfetch.url",
    "expect": "use proxyfetch.expect, tcpcheck.expect or udp.expect",
    "hostnames": "use dnsquery.hostnames",
    "command": "use runcommand.command",
    "arguments": "use runcommand.arguments",
}
_BY_WORD = {word: instead for words, instead in _INSTEAD.items() for word in words.split()}

_CHECKS = {
    "http https http-get ssl-get httpchk http-check ssl negotiate": "ProxyFetch",
    "tcp tcp-check connect smtp smtp-check": "TCPCheck or IdleConnection",
    "dns dns-check": "DNSQuery",
    "icmp ping-check": "Ping",
    "udp-check": "UDP",
    "script exec command misc-check external external-check checkcommand": "RunCommand",
}
_BY_CHECK = {word: name for words, name in _CHECKS.items() for word in words.split()}

_SCHEDULERS = {
    "roundrobin round-robin static-rr": "rr or wrr",
    "leastconn least-conn least-connections leastconnections least-request": "lc or wlc",
    "source ip-hash iphash source-hash": "sh or mh",
    "maglev ring-hash consistent-hash hash": "mh",
    "uri url-param hdr rdp-cookie": "none: PyBal does not read what is sent; sh or mh hash clients",
    "random p2c": "wrr or wlc",
}
_BY_SCHEDULER = {word: name for words, name in _SCHEDULERS.items() for word in words.split()}

_FORWARDING = {
    "nat masq masquerading": "masquerade",
    "dr gate gatewaying route dsr": "direct",
    "tun tunneling ipip": "tunnel",
}
_BY_FORWARDING = {word: name for words, name in _FORWARDING.items() for word in words.split()}


def instead_of(word: str) -> str:
    """What PyBal has for a key of another balancer's file, or for its first word; else nothing."""
    normal = _normal(word)
    first = normal.split(maxsplit=1)[0] if normal else ""
    return _BY_WORD.get(normal) or _BY_WORD.get(first, "")


def monitor_instead_of(word: str) -> str:
    """The monitor that does what another balancer's check of this name does, or nothing."""
    return _BY_CHECK.get(_normal(word), "")


def scheduler_instead_of(word: str) -> str:
    """IPVS's schedulers that do what one of this name does, or nothing."""
    return _BY_SCHEDULER.get(_normal(word), "")


def forwarding_instead_of(word: str) -> str:
    """The value of forwarding-method that another's word means, or nothing."""
    return _BY_FORWARDING.get(_normal(word), "")


def _normal(word: str) -> str:
    return word.strip().lower().replace("_", "-")
