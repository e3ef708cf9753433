"""The URLs of pool sources: text in, a source out; and the way back, without secrets. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.settings import (
    EtcdSource,
    FileSource,
    HTTPSource,
    KubernetesSource,
    SourceSettings,
)
from pybal.net.addresses import endpoint, split_host_port
from pybal.net.url_text import without_secrets

ETCD_PORT = 2379
KUBERNETES_PORT = 443
_HTTP_PORTS = {"http": 80, "https": 443}
_FORMS = {
    "file": "file:///absolute/path",
    "http": "http://host[:port]/path",
    "https": "https://host[:port]/path",
    "etcd": "etcd://host[:port]/key/",
    "k8s": "k8s://TOKEN@host[:port]",
}
SOURCE_FORMS = "one of " + ", ".join(_FORMS.values())
_PLAIN = re.compile("[!-~]+")
_HTTP = re.compile(r"(https?)(://([^/?#]*)(?:[/?][^#]*)?)(?:#.*)?", re.IGNORECASE)
_ETCD = re.compile(r"etcd://([^/?#]*)/+([^?#]*[^?#/])/*", re.IGNORECASE)


def parse_source(text: str) -> SourceSettings:
    """The value of `config`; raises BadValueError, whose text quotes nothing that
    may be a secret."""
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme not in _FORMS:
        if not scheme:
            path = re.sub("^file:/*", "/", text)
            is_path = path.startswith("/") and path.isprintable() and "@" not in path
            raise BadValueError(f"did you mean file://{path}?" if is_path else "")
        # Its name alone, and only if it is nearly that of a scheme: no secret is quoted.
        hint = did_you_mean(scheme, _FORMS)
        raise BadValueError(f"its scheme is unknown; {hint}" if hint else "its scheme is unknown")
    if scheme == "file":
        return _file(text)
    if not _PLAIN.fullmatch(text):
        raise BadValueError("it holds a space or a character that is not printable ASCII")
    if scheme == "etcd":
        return _etcd(text)
    if scheme == "k8s":
        return _kubernetes(text)
    return HTTPSource(parse_http_url(text))


def parse_http_url(text: str) -> str:
    """An absolute http(s) URL, its scheme in lower case, without the fragment, which nobody sends
    (RFC 9110 section 7.1); raises BadValueError."""
    match = _HTTP.fullmatch(text) if _PLAIN.fullmatch(text) else None
    if match is None:
        raise BadValueError(wanted="http[s]://host[:port][/path][?query]")
    scheme, rest, where = match.groups()
    if "@" in where:
        raise BadValueError("a URL with a user or password is not supported")
    if split_host_port(where, _HTTP_PORTS[scheme.lower()]) is None:
        raise BadValueError("the URL has no valid host and port")
    return scheme.lower() + rest


def _file(text: str) -> FileSource:
    path = Path(text[len("file://") :])
    if not text.isprintable() or not path.is_absolute() or not path.name:
        raise BadValueError(wanted=_FORMS["file"])
    return FileSource(path)


def _etcd(text: str) -> EtcdSource:
    match = _ETCD.fullmatch(text)
    where = split_host_port(match[1], ETCD_PORT) if match else None
    if match is None or where is None:
        raise BadValueError(wanted=_FORMS["etcd"])
    return EtcdSource(*where, key=f"/{match[2]}/")


def _kubernetes(text: str) -> KubernetesSource:
    token, at, server = text[len("k8s://") :].rpartition("@")
    where = split_host_port(server.removesuffix("/"), KUBERNETES_PORT)
    if not at or not token or where is None:
        raise BadValueError(wanted=_FORMS["k8s"])
    return KubernetesSource(*where, token=token)


def source_url(source: SourceSettings) -> str:
    """The URL of a source in normal form; a token, and the values of a query, are shown as ***."""
    match source:
        case FileSource(path):
            return f"file://{path}"
        case HTTPSource(url):
            return without_secrets(url)
        case EtcdSource(host, port, key):
            return f"etcd://{endpoint(host, port)}{key}"
        case KubernetesSource(host, port):
            return f"k8s://***@{endpoint(host, port)}"


def mask_url(text: str) -> str:
    """A (possibly misspelt) source URL without anything that could be a token or password."""
    scheme, separator, rest = text.partition("://")
    known = scheme.lower() if separator else ""
    prefix = f"{known}://" if known in _FORMS else ""
    before, question, query = text.partition("?")
    if not query.isprintable() or " " in query:
        # Where one of its values ends cannot be told.
        return f"{mask_url(before)}{question}***"
    if "@" in text:
        return without_secrets(f"{prefix}***@{text.rpartition('@')[2]}")
    if known in _HTTP_PORTS:
        return without_secrets(text)
    if text.startswith("/") or (known in _FORMS and known != "k8s"):
        return text
    # What is left may be anything, a token included.
    return f"{prefix}***" if rest or text else text
