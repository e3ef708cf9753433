"""All that the daemon touches outside of itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pybal.config.settings import Settings
from pybal.handover.listeners import KeptListeners
from pybal.http.port import HostLookUp, HTTPClient
from pybal.instrumentation.alert_watch import IsLocal
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.ownership import Place
from pybal.model import IPAddress
from pybal.monitors.memory import MonitorMemory
from pybal.monitors.processes import AllProcesses
from pybal.monitors.registry import MonitorTypes
from pybal.net.port import Network
from pybal.pool.server import AddressWatcher
from pybal.runtime.files_port import Files
from pybal.runtime.service_manager import ServiceManager
from pybal.runtime.threads import InThread, OwnThread
from pybal.sources.inotify import Inotify
from pybal.state.file_access import BoundedAccess
from pybal.state.state_writing import StateWriting

if TYPE_CHECKING:  # Loaded for those who speak BGP (on_demand.py).
    from pybal.bgp.ports import BGPOutside


class DaemonPorts(NamedTuple):
    """All that the daemon touches outside of itself. main gives it; nothing has a default.

    `reactor` provides Twisted's reactor interfaces, its clock must not jump; `now()` is Unix
    seconds; `in_thread` runs a function off the reactor's thread and fires with what it returns,
    as does `read_in_thread` for what the end of the process need not wait for, and
    `parse_in_thread` for what computes: one function after another.
    `source_http` is for pool lists, whatever monitors use up. `source_address` tells from which of
    our addresses the kernel would reach another one, None if from none; `is_local` whether an
    address is one of ours.
    """

    reactor: Any
    now: Callable[[], float]
    random: random.Random
    in_thread: InThread
    read_in_thread: InThread
    parse_in_thread: InThread
    state_writing: StateWriting
    """How the files of the state directory are written."""
    own_thread: OwnThread
    """Runs a function that goes on for as long as the daemon does, in a thread that need not
    end."""
    files: BoundedAccess
    """How files are read that may be on a file system that hangs."""
    certificates: Files
    """How files of trusted certificates are read."""
    http: HTTPClient
    source_http: HTTPClient
    names: HostLookUp
    addresses: AddressWatcher
    network: Network
    probing: Network
    """That of isolation's probes: an answer that waited behind those to thousands of checks would
    pass for silence."""
    descriptor_limit: int
    """How many descriptors this process may have."""
    processes: AllProcesses
    kernel: Kernel
    place: Place | None
    """Which table the kernel's is; without that, none of its services is known to be ours."""
    new_bgp: Callable[[], BGPOutside]
    """Makes what BGP touches, at most once: only for those who speak it, or have to end what the
    process before us has said."""
    bgp_left: bool
    """Whether that has left sessions of BGP."""
    memory: MonitorMemory
    """What monitors know, for the next process, and what the one before knew."""
    listeners: KeptListeners
    """What is listened on, for the next process."""
    source_address: Callable[[IPAddress], IPAddress | None]
    is_local: IsLocal
    host_name: str
    monitors: MonitorTypes
    """By name; all that the settings name must be among them."""
    service_manager: ServiceManager
    new_inotify: Callable[[], Inotify]
    """What tells of changes of files."""
    cpu_s: Callable[[], float]
    """The processor time that the reactor's thread has used."""
    monotonic_s: Callable[[], float]
    """CLOCK_MONOTONIC, by which the service manager reckons."""
    set_log_level: Callable[[str], None]
    """One of pybal.runtime.log.LEVELS."""
    with_options: Callable[[Settings], Settings]
    """What the command line makes of a file's settings."""
    load_code: Callable[[Settings], str | None]
    load_answers: Callable[[], str | None]
    """See CodeOnDemand."""
