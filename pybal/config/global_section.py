"""The [global] section. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pybal.config.bgp_peer_section import SecretReader
from pybal.config.bgp_section import read_bgp
from pybal.config.history_options import read_history
from pybal.config.kernel_options import read_kernel_options
from pybal.config.kinds import (
    ABSOLUTE_PATH,
    BOOLEAN,
    GROUP,
    PORT,
    SECONDS,
    SECONDS_OR_ZERO,
    SOCKET_PATH,
    SOME_ADDRESSES,
    THRESHOLD,
    WORDS_FOR_NO,
    WORDS_FOR_YES,
    Kind,
    choice,
    integer,
)
from pybal.config.list_guard_options import read_list_guard
from pybal.config.section import SectionReader
from pybal.config.settings import (
    DEFAULT_CONCURRENCY,
    LOG_LEVELS,
    ControlSettings,
    InstrumentationSettings,
    IsolationSettings,
    ListGuardSettings,
    Settings,
)
from pybal.config.users import USER
from pybal.ipvs.settings import Cleanup, IPVSSettings

DEFAULT_STATE_DIRECTORY = Path("/var/lib/pybal")
DEFAULT_CONTROL_SOCKET = Path("/run/pybal/control.sock")
DEFAULT_INSTRUMENTATION_ADDRESSES = SOME_ADDRESSES.parse("['127.0.0.1', '::1']")


class AtStart(NamedTuple):
    """What [global] says of a start with a file that has errors."""

    state_directory: Path | None
    strict: bool


def read_at_start(reader: SectionReader) -> AtStart:
    """From these lines alone, however wrong the others are. A dry run takes no other
    configuration's place: that one might not be one."""
    strict = reader.get("strict", BOOLEAN, False)
    dry_run = reader.get("dryrun", BOOLEAN, False, alias="dry-run")
    return AtStart(
        reader.get("state-directory", _STATE_DIRECTORY, DEFAULT_STATE_DIRECTORY), strict or dry_run
    )


_OFF = WORDS_FOR_NO | {"none"}
"""Either word is as good for a path that is not to be."""


def _none_or_path(text: str) -> Path | None:
    return None if text.lower() in _OFF else ABSOLUTE_PATH.parse(text)


def _control_socket(text: str) -> Path | None:
    word = text.lower()
    if word in _OFF:
        return None
    return DEFAULT_CONTROL_SOCKET if word in WORDS_FOR_YES else SOCKET_PATH.parse(text)


_CLEANUP = choice(each.value for each in Cleanup)
_LOG_LEVEL = choice(LOG_LEVELS, lambda word: {"warn": "warning"}.get(word, ""))
_CONCURRENCY = integer(1, 1000)
_STATE_DIRECTORY = Kind("an absolute path or none", _none_or_path)
_CONTROL_SOCKET = Kind(f"{SOCKET_PATH.wanted}, or no", _control_socket)


def read_global(
    reader: SectionReader, subsections: Iterable[SectionReader], read_secret: SecretReader
) -> Settings:
    """Without services. `subsections` are those of [global], named `[…]`; only `[[peer ADDRESS]]`
    is known. Where an error has been noted a value may be a stand-in."""
    dry_run = reader.get("dryrun", BOOLEAN, False, alias="dry-run")
    state_directory = reader.get("state-directory", _STATE_DIRECTORY, DEFAULT_STATE_DIRECTORY)
    if reader.is_empty("state-directory"):
        state_directory = None
    # Options of what is switched off are read all the same, to find what is wrong with them.
    bgp_wanted = reader.get("bgp", BOOLEAN, False)
    bgp = read_bgp(reader, subsections, read_secret, wanted=bgp_wanted)
    instrumentation_wanted = reader.get("instrumentation", BOOLEAN, False)
    instrumentation = _read_instrumentation(reader, wanted=instrumentation_wanted)
    runcommand_concurrency = reader.get("runcommand-concurrency", _CONCURRENCY, DEFAULT_CONCURRENCY)
    runcommand_user = reader.get("runcommand-user", USER, None)
    isolation_wanted = reader.get("isolation", BOOLEAN, True)
    isolation = _read_isolation(reader)
    if not isolation_wanted:
        reader.warn_of_no_effect(_OF_ISOLATION, "isolation = no")
    control = _read_control(reader)
    ipvs = _read_ipvs(reader)
    strict = reader.get("strict", BOOLEAN, False)
    dry_run_bgp = reader.get("dry-run-bgp", BOOLEAN, False)
    handover = reader.get("handover", BOOLEAN, True)
    list_guard = read_list_guard(reader, ListGuardSettings())
    history = read_history(reader)
    flap_damping = reader.get("flap-damping", BOOLEAN, True)
    log_level = reader.get("log-level", _LOG_LEVEL, "info")
    reader.warn_of_unknown()
    return Settings(
        services=(),
        dry_run=dry_run,
        state_directory=state_directory,
        bgp=bgp if bgp_wanted else None,
        instrumentation=instrumentation if instrumentation_wanted else None,
        runcommand_concurrency=runcommand_concurrency,
        runcommand_user=runcommand_user,
        isolation=isolation if isolation_wanted else None,
        control=control,
        ipvs=ipvs,
        strict=strict,
        dry_run_bgp=dry_run_bgp,
        list_guard=list_guard,
        history=history,
        flap_damping=flap_damping,
        handover=handover,
        log_level=log_level,
    )


def _read_control(reader: SectionReader) -> ControlSettings | None:
    path = reader.get("control-socket", _CONTROL_SOCKET, DEFAULT_CONTROL_SOCKET)
    group = reader.get("control-socket-group", GROUP, None)
    if path is None or reader.is_empty("control-socket"):
        reader.warn_of_no_effect(("control-socket-group",), "control-socket = no")
        return None
    return ControlSettings(path, group, asked_for=reader.is_set("control-socket"))


_OF_ISOLATION = ("isolation-threshold", "isolation-window", "isolation-hold")


def _read_isolation(reader: SectionReader) -> IsolationSettings:
    default = IsolationSettings()
    return IsolationSettings(
        threshold=reader.get("isolation-threshold", THRESHOLD, default.threshold),
        window_s=reader.get("isolation-window", SECONDS, default.window_s),
        hold_s=reader.get("isolation-hold", SECONDS, default.hold_s),
    )


def _read_ipvs(reader: SectionReader) -> IPVSSettings:
    default = IPVSSettings()
    return IPVSSettings(
        audit_interval_s=reader.get(
            "ipvs-audit-interval", SECONDS_OR_ZERO, default.audit_interval_s
        ),
        cleanup=Cleanup(reader.get("ipvs-cleanup", _CLEANUP, default.cleanup.value)),
        statistics=reader.get("ipvs-statistics", BOOLEAN, default.statistics),
        kernel=read_kernel_options(reader),
    )


def _read_instrumentation(reader: SectionReader, *, wanted: bool) -> InstrumentationSettings:
    key, alias = "instrumentation_ips", "instrumentation-ips"
    addresses = reader.get(key, SOME_ADDRESSES, DEFAULT_INSTRUMENTATION_ADDRESSES, alias=alias)
    for address in addresses:
        if wanted and address.is_unspecified:
            reader.remark(
                key if reader.is_set(key) else alias,
                f"{address} is every address of this host: whoever reaches it may read all that"
                " PyBal knows (not change it); a firewall, or single addresses, keep others out",
            )
    return InstrumentationSettings(
        addresses=addresses,
        port=reader.get("instrumentation_port", PORT, 9090, alias="instrumentation-port"),
    )
