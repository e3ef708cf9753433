"""BFD with all peers: a Detector for each, and the sockets that they all receive on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from pybal.bgp.bfd.detector import Detector
from pybal.bgp.bfd.kept import KeptBFD, terms_of
from pybal.bgp.bfd.memory import BFDMemory
from pybal.bgp.bfd.packet import BFDPacketError, decode_packet
from pybal.bgp.bfd.ports import BFDNetwork, Numbers
from pybal.bgp.settings import BFDSettings
from pybal.model import IPAddress
from pybal.runtime.stopping import end_each, ending

_LENGTH = 3  # where a packet says how long it is


class BFD:
    """All detectors, and the sockets that they receive on."""

    def __init__(
        self,
        network: BFDNetwork,
        clock: Any,
        random: Any,
        log: Any,
        numbers: Numbers | None = None,
        memory: BFDMemory | None = None,
    ) -> None:
        self._memory = memory
        self._numbers = numbers
        self._left: dict[str, int] | None = None  # those of our former life, once asked for
        self._network = network
        self._clock = clock
        self._random = random
        self._log = log
        self._detectors: dict[IPAddress, Detector] = {}
        self._closes: dict[tuple[int, bool], Callable[[], None]] = {}
        self._refused: dict[IPAddress, str] = {}

    def watch(
        self,
        peer: IPAddress,
        source: IPAddress | None,
        settings: BFDSettings,
        changed: Callable[[bool], None],
        *,
        restarting: bool = False,
    ) -> Detector:
        """Begin to watch a peer, or go on where our former life has ended (`restarting`); what
        cannot be opened is logged as an error."""
        if (before := self._detectors.pop(peer, None)) is not None:
            before.stop()
        discriminator = self._random.randrange(1, 2**32)
        sent = self._number_left(peer) if settings.auth is not None else None
        detector = Detector(
            peer,
            settings,
            discriminator=discriminator,
            clock=self._clock,
            random=self._random,
            changed=changed,
            sent=sent,
            former=self._former(peer, settings),
            keep=partial(self._keep, str(peer)),
        )
        self._detectors[peer] = detector
        try:
            self._listen(peer.version, multihop=settings.multihop)
            detector.start(self._network, source, restarting=restarting)
        except OSError as error:
            self._log.error("BFD with {peer} cannot run: {error}", peer=peer, error=error.strerror)
        return detector

    def _former(self, peer: IPAddress, settings: BFDSettings) -> KeptBFD | None:
        """The session of the process before us, if it can go on."""
        former = self._memory.former(str(peer)) if self._memory is not None else None
        if former is None or former.terms != terms_of(settings):
            return None
        self._log.info("BFD with {peer} goes on from the process before us", peer=peer)
        return former

    def _keep(self, peer: str, state: KeptBFD | None) -> None:
        if self._memory is not None:
            self._memory.write(peer, state)

    def _listen(self, version: int, *, multihop: bool) -> None:
        if (version, multihop) not in self._closes:
            received = partial(self._received, multihop=multihop)
            close = self._network.listen(version, received, multihop=multihop)
            self._closes[version, multihop] = close

    def forget(self, peer: IPAddress) -> None:
        """No longer watch a peer; it is told that this is on purpose."""
        self._refused.pop(peer, None)
        detector = self._detectors.pop(peer, None)
        if detector is not None:
            detector.stop()

    async def rest(self, absences_s: Mapping[IPAddress, float]) -> None:
        """Before a restart: these peers are to wait for us for so long."""
        leaving = {
            peer: absences_s[peer]
            for peer, detector in self._detectors.items()
            if peer in absences_s and (detector.number_sent is None or self._keeps_numbers)
        }
        for peer in leaving:
            self._detectors[peer].leaves = True
        await self._rest(leaving)

    async def pause(self, absence_s: float) -> None:
        """Before this process stands still: all peers are to wait for us for so long, until
        `go_on`."""
        await self._rest(dict.fromkeys(self._detectors, absence_s))

    def go_on(self) -> None:
        """It is over."""
        end_each(self._log, *(detector.go_on for detector in self._detectors.values()))

    async def _rest(self, absences_s: Mapping[IPAddress, float]) -> None:
        resting = [
            (peer, partial(Deferred.fromCoroutine, self._detectors[peer].rest(absence_s)))
            for peer, absence_s in absences_s.items()
        ]
        ends = [ending(self._log, f"BFD with {peer}", rest) for peer, rest in resting]
        await DeferredList(ends)

    @property
    def _keeps_numbers(self) -> bool:
        kept_in_memory = self._memory is not None and self._memory.keeps
        return kept_in_memory or self._numbers is not None

    def _number_left(self, peer: IPAddress) -> int | None:
        if self._left is None:
            self._left = self._numbers.take() if self._numbers is not None else {}
        return self._left.pop(str(peer), None)

    def _keep_numbers(self) -> None:
        sent = {
            str(peer): detector.number_sent
            for peer, detector in self._detectors.items()
            if detector.is_left
        }
        left = {peer: number for peer, number in sent.items() if number is not None}
        if left and self._numbers is not None:
            self._numbers.keep(left)

    def stop(self) -> None:
        """Watch nobody any more. Idempotent."""
        end_each(self._log, self._keep_numbers)
        resting = any(detector.is_left for detector in self._detectors.values())
        end_each(self._log, *(partial(self.forget, peer) for peer in tuple(self._detectors)))
        if self._memory is not None:
            end_each(self._log, self._memory.leave if resting else self._memory.end)
        closes, self._closes = self._closes, {}
        end_each(self._log, *closes.values())

    def _received(self, data: bytes, source: IPAddress, ttl: int, *, multihop: bool) -> None:
        detector = self._detectors.get(source)
        # Before anything that takes time: a flood of what is not for us must not stop our checks.
        if detector is None or not _may_be_of(detector, data, ttl, multihop=multihop):
            return
        try:
            packet = decode_packet(data)
        except BFDPacketError:
            return
        try:
            detector.authenticate(packet, data[: data[_LENGTH]])
        except BFDPacketError as error:
            self._say_refused(source, str(error))
            return
        self._refused.pop(source, None)
        detector.received(packet)

    def _say_refused(self, peer: IPAddress, why: str) -> None:
        """Once until it is well again: there may be very many."""
        if peer not in self._refused:
            self._refused[peer] = why
            self._log.warn(
                "BFD with {peer}: a packet was refused: {why}; bgp-bfd-auth and its key must be the"
                " same on both sides", peer=peer, why=why,
            )  # fmt: skip


def _may_be_of(detector: Detector, data: bytes, ttl: int, *, multihop: bool) -> bool:
    """RFC 5881 section 5: of a neighbour, a TTL below 255 has crossed a router."""
    settings = detector.session.settings
    return multihop is settings.multihop and ttl >= settings.min_ttl and detector.takes(data)
