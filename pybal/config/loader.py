"""pybal.conf -> settings, or everything that is wrong with it. Pure but for reading the file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pybal.config.bad_value import BadValueError, is_one_slip
from pybal.config.bgp_peer_section import SecretReader
from pybal.config.cross_checks import (
    check_attributes,
    check_distinct,
    check_families,
    check_nexthops,
    check_own_nexthops,
    check_routers,
    check_withdrawals,
)
from pybal.config.foreign_words import instead_of
from pybal.config.global_section import read_at_start, read_global
from pybal.config.ini import DEFAULT, Document, Section, read_ini
from pybal.config.ini_lines import is_comment, plain_lines
from pybal.config.known_sections import NOTHING_KNOWN, Known, KnownSections, read_services
from pybal.config.known_text import read_known
from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.problems import LoadResult, ProblemLog, Severity, TooManyProblemsError
from pybal.config.secrets import doubtful_passwords, find_secrets, read_secret
from pybal.config.section import SectionReader
from pybal.config.service_section import ServiceDraft, read_service
from pybal.config.settings import BGPSettings, ServiceSettings, Settings
from pybal.errors import said_by
from pybal.net.addresses import parse_address
from pybal.runtime.naming import counted
from pybal.state.files import read_now

MAX_BYTES = 16 * 2**20
MAX_LINES = 200_000
_LOOKED_THROUGH = 2**20
"""So many characters of a file with errors are searched for what it says of a start."""
_ODD = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as "surrogateescape" has it."""
_MAX_SERVICE_NAME = 200
_GLOBAL = "global"
_ADDRESS = "ip"
_PEER = "peer"
_NO_GLOBAL = Section(_GLOBAL, 1, {}, {})

_Places = tuple[dict[str, str], dict[str, str]]
"""The keys of [global], and those of services, each with where it belongs."""


def load(path: Path, kinds: MonitorKinds, known: Known = NOTHING_KNOWN) -> LoadResult:
    """Read and parse a file, which may name monitors of these `kinds`; what cannot be read is a
    problem like any other. `known` is what an earlier reading has given: it makes this one quicker,
    and not different."""
    try:
        content, modified_at = _read(path)
    except OSError as error:
        return _refused(path, f"cannot be read: {said_by(error)}")
    except BadValueError as bad:
        return _refused(path, str(bad))
    result = parse_content(content, str(path), kinds, readable_by=_who_may_read(path), known=known)
    return replace(result, modified_at=modified_at)


def parse_content(
    content: bytes,
    file: str,
    kinds: MonitorKinds,
    *,
    readable_by: str = "",
    known: Known = NOTHING_KNOWN,
) -> LoadResult:
    """Parse what a file holds or held; passwords are read from their own files. `readable_by` is
    the file's mode if everybody may read it, `known` as load() has it."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
        odd = _odd_byte(content)
        if odd is not None:
            line, byte = odd
            log = ProblemLog(file)
            log.add(Severity.ERROR, f"not UTF-8 text: byte 0x{byte:02x} does not fit", line=line)
            return replace(_with_at_start(log.result(None), text), content=content)
    result = parse(text, file, kinds, read_secret, readable_by=readable_by, known=known)
    return replace(result, content=content)


def _odd_byte(content: bytes) -> tuple[int, int] | None:
    """The first byte that is no UTF-8, with its line; in a comment it does no harm."""
    text = content.decode("utf-8", "surrogateescape")
    for number, line in enumerate(plain_lines(text), 1):
        odd = _ODD.search(line)
        if odd and not is_comment(line.strip()):
            return number, ord(odd[0]) - 0xDC00
    return None


def _who_may_read(path: Path) -> str:
    """The file's mode if everybody on this host may read it, else nothing."""
    try:
        real = path.resolve()
        mode = stat.S_IMODE(real.stat().st_mode)
        reached = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
    except OSError:
        return ""
    return f"{mode:04o}" if reached and mode & stat.S_IROTH else ""


def _refused(path: Path, message: str) -> LoadResult:
    log = ProblemLog(str(path))
    log.add(Severity.ERROR, message)
    return log.result(None)


def _read(path: Path) -> tuple[bytes, float]:
    """The file's bytes, and when it was last changed. Raises OSError, or BadValueError, which
    says what is wrong with it."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise BadValueError("is a directory")
    if not stat.S_ISREG(mode):
        raise BadValueError("is not a regular file")
    # What has taken the file's place since must not keep us waiting.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BadValueError("is not a regular file")
        content = read_now(file, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadValueError(f"larger than {MAX_BYTES // 2**20} MiB")
    return content, status.st_mtime


def _no_secrets(path: Path) -> str:  # noqa: ARG001 - the shape of a SecretReader
    raise BadValueError("files are not read here")


def parse(
    text: str,
    file: str,
    kinds: MonitorKinds,
    read_secret: SecretReader = _no_secrets,
    *,
    readable_by: str = "",
    known: Known = NOTHING_KNOWN,
) -> LoadResult:
    """Parse the text of a pybal.conf; `file` is what problems call it, `kinds` the monitors
    that it may name, `read_secret` reads the files of passwords. `readable_by` is the file's mode
    if everybody may read it, `known` as load() has it. Takes any text."""
    log = ProblemLog(file)
    settings, known_now = None, known
    try:
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            log.add(Severity.ERROR, "not text: it holds NUL characters", line=line)
        elif text.count("\n") + text.count("\r") > MAX_LINES:
            log.add(Severity.ERROR, f"more than {MAX_LINES} lines")
        else:
            document, texts = read_known(text, known.texts)
            settings, sections = _settings(document, log, kinds, read_secret, known.sections)
            known_now = Known(sections, texts)
            for line, key, message in doubtful_passwords(text):
                log.add(Severity.WARNING, message, line=line, key=key)
            if readable_by:
                _warn_of_readers(document, log, readable_by)
    except TooManyProblemsError:
        log.close()
    return _with_at_start(replace(log.result(settings), known=known_now), text)


def _with_at_start(result: LoadResult, text: str) -> LoadResult:
    """With what a file that has errors says of a start with them."""
    if result.settings is not None:
        return result
    text = text.replace("\0", " ")[:_LOOKED_THROUGH]
    sections = {section.name: section for section in read_ini(text).sections}
    unheard = ProblemLog(result.file)
    said = read_at_start(SectionReader(sections.get(_GLOBAL, _NO_GLOBAL), unheard))
    return replace(result, state_directory=said.state_directory, strict=said.strict)


def _settings(
    document: Document,
    log: ProblemLog,
    kinds: MonitorKinds,
    read_secret: SecretReader,
    known: KnownSections,
) -> tuple[Settings, KnownSections]:
    _log_faults(document, log)
    sections = {section.name: section for section in document.sections}
    places = in_global, in_services = _places(kinds)
    _check_structure(sections, log, places)
    global_section = sections.pop(_GLOBAL, _NO_GLOBAL)
    global_reader = SectionReader(global_section, log, in_services)
    peers = [
        SectionReader(section._replace(name=f"[{name}]"), log, in_services | in_global)
        for name, section in global_section.subsections.items()
        if _is_peer(section)
    ]
    options = read_global(global_reader, peers, read_secret)
    services, known_now = read_services(
        [section for section in sections.values() if not _no_service(section, places)],
        options,
        log,
        known,
        in_global,
        lambda reader: _read_service(reader, log, kinds, options),
    )
    if document.defaults is not None:
        readers = [global_reader, *(service.reader for service in services)]
        _check_defaults(document.defaults, readers, kinds, log)
    _check_together(services, options, global_reader)
    complete = (_complete(s, options.bgp) for s in services if s.settings is not None)
    return replace(options, services=tuple(complete)), known_now


def _log_faults(document: Document, log: ProblemLog) -> None:
    for fault in document.faults:
        log.add(
            Severity.ERROR,
            f"{fault.message}; {hint}" if (hint := instead_of(fault.word)) else fault.message,
            line=fault.line,
            section=fault.section,
            key=fault.key,
        )


def _check_together(
    services: Sequence[ServiceDraft], options: Settings, global_reader: SectionReader
) -> None:
    """What services say beside one another, and beside [global]."""
    check_distinct(services)
    check_families(services, options.ipvs.kernel)
    if options.bgp is not None:
        check_attributes(services, options.bgp, global_reader)
        check_withdrawals(services)
        check_nexthops(services, options.bgp, global_reader)
        check_own_nexthops(services, options.bgp, global_reader)
        check_routers(services, options.bgp, global_reader)


def _complete(service: ServiceDraft, bgp: BGPSettings | None) -> ServiceSettings:
    """With what [global] says where the service says nothing, and those who look after the service
    need to know."""
    settings = service.settings
    if settings is None:
        raise AssertionError("a service with errors")
    if bgp is None or service.reader.is_set("bgp-link-bandwidth"):
        return settings
    return replace(settings, bgp=replace(settings.bgp, link_bandwidth=bgp.link_bandwidth))


def _check_structure(sections: dict[str, Section], log: ProblemLog, places: _Places) -> None:
    if not sections:
        log.add(
            Severity.ERROR, "holds no section: there must be [global], and one for each service"
        )
        return
    if _GLOBAL not in sections:
        log.add(Severity.WARNING, "no [global] section: its defaults are used")
    elif len(sections) == 1:
        log.add(Severity.WARNING, "no service: every section but [global] is one")
    for section in sections.values():
        if message := _no_service(section, places):
            log.add(Severity.ERROR, message, line=section.line, section=section.name)
            continue
        for special in (_GLOBAL, DEFAULT):
            if is_one_slip(section.name.lower(), special.lower()) and not (
                # Plainly a service, and nothing is missing that this could be.
                _ADDRESS in section.entries and (special == DEFAULT or _GLOBAL in sections)
            ):
                message = f"read as a service; did you mean [{special}]?"
                log.add(
                    Severity.WARNING, message, line=section.line, section=section.name, slip=True
                )
        for sub in section.subsections.values():
            if section.name != _GLOBAL or not _is_peer(sub):
                _refuse_subsection(sub, log)


def _warn_of_readers(document: Document, log: ProblemLog, mode: str) -> None:
    found = find_secrets(document)
    if found:
        first, *others = found
        more = f", and {counted(len(others), 'more secret')}" if others else ""
        message = (
            f"a secret{more}, in a file that everybody on this host may read (mode {mode}):"
            " chmod 640 it"
        )
        log.add(Severity.WARNING, message, line=first.line, section=first.section, key=first.key)


def _check_defaults(
    defaults: Section, readers: Sequence[SectionReader], kinds: MonitorKinds, log: ProblemLog
) -> None:
    """What no section knows is unknown. Each section has looked at the values already."""
    known = set(kinds.option_keys).union(*(reader.asked for reader in readers))
    reader = SectionReader(defaults, log)
    for key in known:
        reader.know(key)
    if len(readers) > 1:
        reader.warn_of_unknown()
    for sub in defaults.subsections.values():
        _refuse_subsection(sub, log)


def _no_service(section: Section, places: _Places) -> str:
    """What to write where a section is plainly meant as another one, as by its keys if they are
    all of [global]'s, and not of services', too; else nothing."""
    name = section.name
    if name == _GLOBAL:
        return ""
    for special in (_GLOBAL, DEFAULT):
        if name.lower() == special.lower() and name != special:
            return f"a service of this name would be odd: write [{special}]"
    if name.split()[:1] in (["peer"], ["peers"]) and len(name.split()) > 1:
        return f"a peer is a sub-section at the end of [global]: write [[{name}]]"
    in_global, in_services = places
    own = {key for key, entry in section.entries.items() if not entry.inherited}
    strange = _ADDRESS not in section.entries and not is_one_slip(name.lower(), _GLOBAL)
    if strange and own <= in_global.keys() and not own <= in_services.keys():
        return "no service, as its keys are those of [global]: let them stand there"
    return ""


def _refuse_subsection(sub: Section, log: ProblemLog) -> None:
    word = sub.name.split()[0] if sub.name.split() else ""
    hint = f"; did you mean [[{_PEER} …]]?" if is_one_slip(word.lower(), _PEER) else ""
    if parse_address(sub.name) is not None:
        hint = f"; did you mean [[{_PEER} {sub.name}]]?"
    if _is_peer(sub):
        hint = "; it belongs at the end of [global]"
    log.add(Severity.ERROR, f"unknown sub-section{hint}", line=sub.line, section=f"[{sub.name}]")


def _is_peer(section: Section) -> bool:
    return section.name.split()[:1] in (["peer"], ["peers"])


@lru_cache(maxsize=8)
def _places(kinds: MonitorKinds) -> _Places:
    """What two readers ask for who find nothing."""
    unheard = ProblemLog("")
    global_reader, service = (
        SectionReader(Section(name, 1, {}, {}), unheard) for name in (_GLOBAL, "service")
    )
    options = read_global(global_reader, (), _no_secrets)
    read_service(service, kinds, options.list_guard, flap_damping=options.flap_damping)
    in_services = dict.fromkeys((*service.asked, *kinds.option_keys), "a service's section")
    return dict.fromkeys(global_reader.asked, "[global]"), in_services


def _read_service(
    reader: SectionReader, log: ProblemLog, kinds: MonitorKinds, options: Settings
) -> ServiceDraft:
    name = reader.name
    if (
        len(name) > _MAX_SERVICE_NAME
        or name.startswith(".")
        or any(c in "/?#%" or c.isspace() or not c.isprintable() for c in name)
    ):
        log.add(
            Severity.ERROR,
            "a service's name is part of a URL: it must not begin with a dot, be longer than"
            f" {_MAX_SERVICE_NAME} characters or hold any of / ? # % or blanks",
            line=reader.line,
            section=name,
        )
    return read_service(reader, kinds, options.list_guard, flap_damping=options.flap_damping)
