"""The HTTP servers as a part of the daemon: the instrumentation's port and the control socket."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.bgp.snapshot import AnnouncedPrefix
from pybal.config.settings import ControlSettings, InstrumentationSettings
from pybal.daemon.ports import DaemonPorts
from pybal.handover.listeners import KeptListeners
from pybal.health.local_faults import LocalFaults
from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.control_server import ControlServer
from pybal.instrumentation.lasting_file import lasting_file
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.pending_alert import Dated, Lasting
from pybal.instrumentation.server import Accepting, InstrumentationServer, listening_socket
from pybal.instrumentation.socket_group import GroupIds
from pybal.instrumentation.view import StatusView
from pybal.model import IPAddress
from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.overrides.acknowledgement import Acknowledgement, AlertKey
from pybal.runtime.clock import DelayedCall, cancel
from pybal.runtime.stopping import end_each, end_in_turn, ending
from pybal.runtime.threads import NoThreadError
from pybal.runtime.time_slices import TimeSlices
from pybal.state.keeper import Keeper

if TYPE_CHECKING:
    from pybal.daemon.http_answers import HTTPAnswers
    from pybal.instrumentation.verbs import Controls

RESERVED_DESCRIPTORS = 32
"""For requests, when all others are in use."""

_LAST_ANSWER_S = 1.0

_ANSWERS_AFTER_S = 0.05
"""What answers requests is a tenth of the start: a small daemon's first checks go before it."""

_AGAIN_AFTER_S = 10
"""After code that could not be loaded: descriptors, memory or the disk may be there again."""
_TRIES = 30


def _listening(listeners: KeptListeners, address: IPAddress, port: int) -> socket.socket:
    return listeners.open_self_closing(
        f"http {address} {port}", lambda: listening_socket(address, port)
    )


class HTTPPart:
    """Owns both servers, which listen at once and answer as soon as the code for it is loaded. What
    lasts is kept in `state_directory`. A dry run listens only where nobody else does, and has no
    control socket unless it is asked for."""

    def __init__(
        self,
        *,
        ports: DaemonPorts,
        view: StatusView,
        controls: Controls,
        time_slices: TimeSlices,
        faults: LocalFaults,
        must_be_local: Callable[[AnnouncedPrefix], bool],
        acknowledgement_of: Callable[[AlertKey], Acknowledgement | None],
        state_directory: Path | None,
        dry_run: bool,
    ) -> None:
        self._ports = ports
        self._view = view
        self._controls = controls
        self._time_slices = time_slices
        self._clock = ports.reactor
        self._listeners = ports.listeners
        self._faults = faults
        self._dry_run = dry_run
        self._log = Logger(namespace="instrumentation")
        self._groups = GroupIds(ports.reactor, ports.own_thread)
        self._reserve = DescriptorReserve(RESERVED_DESCRIPTORS)
        self._accepting = Accepting(
            ports.reactor,
            self._reserve,
            self._log,
            self._out_of_descriptors,
            partial(_listening, ports.listeners),
        )
        lasting: Keeper[tuple[Lasting, ...]] = Keeper(
            state_directory,
            lasting_file,
            "Since when servers are disabled",
            (),
            ports.state_writing,
            self._log,
        )
        self._watch = AlertWatch(
            ports.reactor,
            view,
            time_slices=time_slices,
            is_local=ports.is_local,
            must_be_local=must_be_local,
            log=self._log,
            now=ports.now,
            acknowledgement_of=acknowledgement_of,
            lasting=lasting.load(),
            keep=lasting.save,
        )
        self._answers: HTTPAnswers | None = None
        self._late: list[tuple[LateSite, Controls | None]] = []
        """Sites that wait for the answers."""
        self._begins: DelayedCall | None = None
        self._tries_left = _TRIES
        self._is_mute = False
        """Whether nothing can be answered, before the next start."""
        self._control_socket = ""
        self._instrumentation: InstrumentationServer | None = None
        self._control: ControlServer | None = None
        self._stopped = False

    def start(
        self,
        settings: InstrumentationSettings | None,
        control: ControlSettings | None,
        renames: Iterable[tuple[str, str]],
    ) -> None:
        """Begin to listen, and to look for what alerts are made of; answer a moment later. Services
        go on from the last run under another name, former and present one."""
        self.rename(renames)
        self._watch.start()
        self._start_control(control)
        self._start_instrumentation(settings)
        self._begins = self._clock.callLater(_ANSWERS_AFTER_S, self._begin_to_answer)

    def _begin_to_answer(self) -> None:
        beginning = Deferred.fromCoroutine(self._load_answers())
        beginning.addErrback(lambda f: self._log.failure("Nothing is answered", failure=f))

    async def _load_answers(self) -> None:
        answers: HTTPAnswers | None = None
        try:
            obstacle = await self._load_code()
            if obstacle is None and not self._stopped:
                answers = self._new_answers()
        except Exception as error:  # noqa: BLE001 - a library amid its upgrade fails in any way
            obstacle = f"{type(error).__name__}: {error}"
            self._tries_left -= 1
            if self._tries_left and not self._stopped:
                self._log.critical(
                    "Nothing is answered yet: {error}; tried again in {wait_s} s",
                    error=obstacle,
                    wait_s=_AGAIN_AFTER_S,
                )
                self._begins = self._clock.callLater(_AGAIN_AFTER_S, self._begin_to_answer)
                return
        if self._stopped:
            return
        if obstacle is not None:
            self._log.critical(
                "Nothing is answered, before the next start: {error}", error=obstacle
            )
            self._is_mute = True
            await self._stop_servers()
        if answers is None:
            return
        answers.tell_control_socket(self._control_socket)
        self._answers = answers
        late, self._late = self._late, []
        for site, controls in late:
            site.serve(answers.site(controls))

    def _new_answers(self) -> HTTPAnswers:
        # Loaded by now.
        from pybal.daemon.http_answers import HTTPAnswers

        return HTTPAnswers(self._ports, self._view, self._watch, self._time_slices, self._log)

    async def _load_code(self) -> str | None:
        load = self._ports.load_answers
        try:
            obstacle: str | None = await self._ports.read_in_thread(load)
        except NoThreadError:
            return load()
        return obstacle

    def _site(self, controls: Controls | None = None) -> LateSite:
        site = LateSite()
        if self._answers is None:
            self._late.append((site, controls))
        else:
            site.serve(self._answers.site(controls))
        return site

    def rename(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services go on under another name: former and present one."""
        self._watch.rename(renames)

    async def go_over_to(
        self, settings: InstrumentationSettings | None, control: ControlSettings | None
    ) -> None:
        """Other settings. What is listened on already stays so."""
        if self._is_mute:
            return
        if self._instrumentation is None:
            self._start_instrumentation(settings)
        elif settings is None:
            former_port, self._instrumentation = self._instrumentation, None
            await end_in_turn(self._log, former_port.stop)
        else:
            await self._instrumentation.reconfigure(settings.addresses, settings.port)
        wanted, former = self._wanted(control), self._control
        if former is not None and wanted is not None and wanted.path == former.settings.path:
            former.reconfigure(wanted)
        elif wanted != (former and former.settings):
            self._control = None
            self._start_control(control)
            if former is not None:
                # Whoever asked for the reload over it has the answer first.
                self._clock.callLater(_LAST_ANSWER_S, self._end_control, former)

    def _end_control(self, former: ControlServer) -> None:
        """Not before the new one listens: without any the daemon could be told nothing."""
        if self._control is None or self._control.listens or self._stopped:
            ending(self._log, f"the control socket {former.settings.path}", former.stop)
        else:
            self._clock.callLater(_LAST_ANSWER_S, self._end_control, former)

    async def stop(self) -> None:
        """Close everything. Idempotent."""
        self._stopped = True
        cancel(self._begins)
        end_each(self._log, self._watch.stop)
        if self._answers is not None:
            end_each(self._log, self._answers.stop)
        await self._stop_servers()
        end_each(self._log, self._reserve.close)

    async def _stop_servers(self) -> None:
        servers = (self._instrumentation, self._control)
        await end_in_turn(self._log, *(each.stop for each in servers if each is not None))

    def alerts(self) -> tuple[Dated, ...]:
        """All that there are now."""
        return self._watch.dated()

    def _start_instrumentation(self, settings: InstrumentationSettings | None) -> None:
        if settings is not None:
            self._instrumentation = InstrumentationServer(
                self._accepting,
                settings.addresses,
                settings.port,
                self._site(),
                keeps_trying=not self._dry_run,
            )
            self._instrumentation.start()

    def _start_control(self, control: ControlSettings | None) -> None:
        wanted = self._wanted(control)
        self._control_socket = "" if wanted is None else str(wanted.path)
        if self._answers is not None:
            self._answers.tell_control_socket(self._control_socket)
        if wanted is not None:
            site = self._site(self._controls)
            self._control = ControlServer(
                self._accepting, wanted, site, self._listeners, self._groups
            )
            self._control.start()

    def _wanted(self, control: ControlSettings | None) -> ControlSettings | None:
        if control is None or (self._dry_run and not control.asked_for):
            return None
        return control

    def _out_of_descriptors(self) -> None:
        self._faults.note(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
