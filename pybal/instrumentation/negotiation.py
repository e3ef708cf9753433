"""Which representation an Accept header asks for (RFC 9110 section 12.5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# A piece of a list: anything but the separator, which may hide in a quoted string.
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')
_QUALITY = re.compile(r"[01](?:\.[0-9]*)?|\.[0-9]+")

_WHOLE_TYPE, _EXACT = 1, 2


class MediaRange(NamedTuple):
    """One element of an Accept header, in lower case. Its parameters do not matter here."""

    type: str
    subtype: str
    quality: float


class _Match(NamedTuple):
    """How well a set of ranges accepts one media type: 0 for `*/*`, 1 for `type/*`, 2 exact."""

    precision: int
    quality: float


def parse_accept(headers: Iterable[str]) -> tuple[MediaRange, ...]:
    """The ranges of all Accept headers of a request; malformed elements are left out."""
    elements = (element for header in headers for element in _ELEMENT.findall(header))
    return tuple(filter(None, map(_parse_range, elements)))


def accepts_json(headers: Iterable[str]) -> bool:
    """Whether to answer in JSON rather than in plain text."""
    return _prefers("json", headers)


def accepts_event_stream(headers: Iterable[str]) -> bool:
    """Whether an event stream is preferred to JSON, as a browser's EventSource does."""
    ranges = parse_accept(headers)
    wanted, else_ = _best("text", "event-stream", ranges), _best("application", "json", ranges)
    return wanted.precision == _EXACT and wanted.quality > 0 and wanted.quality >= else_.quality


def accepts_openmetrics(headers: Iterable[str]) -> bool:
    """Whether to answer in OpenMetrics rather than in Prometheus' plain text."""
    return _prefers("openmetrics-text", headers)


def accepts_gzip(headers: Iterable[str]) -> bool:
    """Whether an answer may come as gzip has it: by what Accept-Encoding says (RFC 9110 section
    12.5.3), which must name it, as `gzip` or `*`."""
    qualities: dict[str, float] = {}
    for element in (each for header in headers for each in _ELEMENT.findall(header)):
        coding, *parameters = [part.strip().lower() for part in _PARAMETER.findall(element)] or [""]
        quality = _quality(parameters)
        if quality is not None:
            qualities.setdefault(coding, quality)
    named = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return named > 0


def prefers_html(headers: Iterable[str]) -> bool:
    """Whether a browser asks: HTML is named, and nothing that we have is wanted as much."""
    ranges = parse_accept(headers)
    html = _best("text", "html", ranges)
    others = (_best("text", "plain", ranges), _best("application", "json", ranges))
    named = html.precision == _EXACT and html.quality > 0
    return named and all(
        html.quality > other.quality or (html.quality == other.quality and other.precision < _EXACT)
        for other in others
    )


def _prefers(subtype: str, headers: Iterable[str]) -> bool:
    """Whether the headers ask for this kind of application/… rather than for text/plain.

    The higher quality wins. At equal quality the type must have been named, at least as
    `type/*`: a lone `*/*`, or no header at all, means text.
    """
    ranges = parse_accept(headers)
    wanted, text = _best("application", subtype, ranges), _best("text", "plain", ranges)
    if wanted.quality == text.quality:
        return wanted.quality > 0 and wanted.precision >= _WHOLE_TYPE
    return wanted.quality > text.quality


def _best(type_: str, subtype: str, ranges: tuple[MediaRange, ...]) -> _Match:
    """The most precise match decides; of several alike the highest quality."""
    best = _Match(precision=-1, quality=0.0)
    for item in ranges:
        if (item.type, item.subtype) == (type_, subtype):
            match = _Match(_EXACT, item.quality)
        elif (item.type, item.subtype) == (type_, "*"):
            match = _Match(_WHOLE_TYPE, item.quality)
        elif (item.type, item.subtype) == ("*", "*"):
            match = _Match(0, item.quality)
        else:
            continue
        if (match.precision, match.quality) > (best.precision, best.quality):
            best = match
    return best


def _parse_range(element: str) -> MediaRange | None:
    media, *parameters = [part.strip().lower() for part in _PARAMETER.findall(element)] or [""]
    type_, _, subtype = ("*/*" if media == "*" else media).partition("/")  # old Java sends `*`
    if not type_ or not subtype or (type_ == "*" and subtype != "*"):
        return None
    quality = _quality(parameters)
    return None if quality is None else MediaRange(type_, subtype, quality)


def _quality(parameters: Iterable[str]) -> float | None:
    """None if it is malformed."""
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.rstrip() == "q":
            if _QUALITY.fullmatch(value.strip()) is None:
                return None
            quality = min(float(value), 1.0)
    return quality
