"""What the HTTP servers answer. Loaded while the daemon runs already: see `on_demand.py`."""

from __future__ import annotations

from functools import partial

from twisted.logger import Logger

from pybal.daemon.ports import DaemonPorts
from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.asking_users import AskingUsers
from pybal.instrumentation.channel import BoundedSite
from pybal.instrumentation.metrics import process_metrics
from pybal.instrumentation.site import ControlAccess, StatusPages
from pybal.instrumentation.verbs import Controls
from pybal.instrumentation.view import StatusView
from pybal.monitors.registry import metric_families
from pybal.page.pages import StatusSite
from pybal.runtime.time_slices import TimeSlices


class HTTPAnswers:
    """Owns the pages, and makes the sites that serve them."""

    def __init__(
        self,
        ports: DaemonPorts,
        view: StatusView,
        watch: AlertWatch,
        time_slices: TimeSlices,
        log: Logger,
    ) -> None:
        self._pages = StatusPages(
            ports.reactor,
            view,
            watch,
            time_slices,
            log,
            metric_families(ports.monitors),
            partial(ports.read_in_thread, process_metrics()),
        )
        self._users = AskingUsers(ports.reactor, ports.own_thread)
        self._html = StatusSite(
            clock=ports.reactor,
            view=view,
            watch=watch,
            time_slices=time_slices,
            now=ports.now,
            log=log,
        )
        self._pages.html = self._html

    def site(self, controls: Controls | None) -> BoundedSite:
        """One that serves all pages; the verbs, too, if it has the controls."""
        access = None if controls is None else ControlAccess(controls, self._users.who)
        return self._pages.site(access)

    def tell_control_socket(self, path: str) -> None:
        """Where verbs are answered, for those who try elsewhere; empty: nowhere."""
        self._pages.control_socket = path

    def stop(self) -> None:
        """Make no page anew any more. Idempotent."""
        self._html.stop()
