"""Which files are on a file system that may keep a reader waiting for ever: a server's, over the
network. Told from /proc/self/mountinfo (proc(5)) without touching that file system. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

_REMOTE = frozenset(
    "9p afs autofs beegfs ceph cifs coda gfs2 glusterfs lustre nfs nfs4 ocfs2 smb3 smbfs".split()
)
_REMOTE_PREFIX = "fuse"
"""A file system in a process, often of a server behind it: sshfs, s3fs, glusterfs."""

_MOUNT_POINT, _FEWEST_FIELDS = 4, 6
_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOST_LINKS = 40
"""As many as the kernel follows."""

ReadLink = Callable[[str], str]
"""os.readlink: what a symbolic link holds; OSError if it is none."""


def remote_mounts(mountinfo: str) -> frozenset[str]:
    """Where such file systems are mounted. Lines that cannot be read are passed over."""
    found = set()
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if separator and len(fields) >= _FEWEST_FIELDS and _is_remote(kind):
            found.add(_ESCAPE.sub(lambda m: chr(int(m[1], 8)), fields[_MOUNT_POINT]))
    return frozenset(found)


def _is_remote(kind: str) -> bool:
    return kind in _REMOTE or kind.split(".")[0] == _REMOTE_PREFIX


def is_below(path: str, mounts: frozenset[str], read_link: ReadLink) -> bool:
    """Whether an absolute path leads to a file below one of them. Links are followed as far as they
    are on file systems of this host."""
    if not mounts:
        return False
    done, left, links = PurePosixPath("/"), list(PurePosixPath(path).parts[1:]), 0
    while left:
        part = left.pop(0)
        if part == "..":
            done = done.parent
            continue
        done /= part
        if str(done) in mounts:
            return True
        try:
            target = PurePosixPath(read_link(str(done)))
        except OSError:
            continue
        links += 1
        if links > _MOST_LINKS:
            return False
        left = [*(part for part in target.parts if part != "/"), *left]
        done = PurePosixPath("/") if target.is_absolute() else done.parent
    return "/" in mounts
