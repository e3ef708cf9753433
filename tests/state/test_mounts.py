"""Which files are on a file system of the network, told without touching it."""

from __future__ import annotations

import errno

import pytest

from pybal.state.mounts import is_below, remote_mounts

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/pools rw,relatime shared:5 master:2 - nfs4 files:/pools rw,vers=4.2
31 22 0:41 / /mnt/with\040space rw - cifs //files/x rw
32 22 0:42 / /home/me rw - fuse.sshfs me@files: rw
33 22 0:43 / /run/local rw - tmpfs tmpfs rw
34 22 0:44 / /run/user/0/gvfs rw - fuse gvfsd rw
broken line
35 22 - nfs4
"""
LINKS = {
    "/etc/pybal/pools": "/srv/pools/lvs",
    "/etc/pybal/up": "../../srv/pools",
    "/etc/pybal/loop": "loop",
    "/etc/local": "/var/lib/pools",
}


def read_link(path: str) -> str:
    assert not f"{path}/".startswith("/srv/pools/"), "it must not be touched"
    if path not in LINKS:
        raise OSError(errno.EINVAL, "no link")
    return LINKS[path]


def test_only_file_systems_of_the_network_are_found() -> None:
    assert remote_mounts(MOUNTINFO) == {
        "/srv/pools", "/mnt/with space", "/home/me", "/run/user/0/gvfs",
    }  # fmt: skip
    assert remote_mounts("") == frozenset()


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("/srv/pools/web", True),
        ("/srv/pools", True),
        ("/srv/poolside/web", False),
        ("/srv/../srv/pools/web", True),
        ("/etc/pybal/pools/web", True),
        ("/etc/pybal/up/web", True),
        ("/etc/local/web", False),
        ("/etc/pybal/loop/web", False),
        ("/etc/pybal/web", False),
        ("/mnt/with space/web", True),
    ],
)
def test_links_are_followed_as_far_as_this_host_goes(path: str, remote: bool) -> None:
    assert is_below(path, remote_mounts(MOUNTINFO), read_link) is remote


def test_as_many_links_are_followed_as_the_kernel_follows() -> None:
    def leads(links: int) -> bool:
        chain = {f"/{number}": f"/{number + 1}" for number in range(links)}
        chain[f"/{links - 1}"] = "/srv/pools"

        def read(path: str) -> str:
            if path not in chain:
                raise OSError(errno.EINVAL, "no link")
            return chain[path]

        return is_below("/0/web", frozenset({"/srv/pools"}), read)

    assert leads(40)
    assert not leads(41)


def test_without_such_a_file_system_nothing_is_looked_at() -> None:
    assert not is_below("/srv/pools/web", frozenset(), read_link)


def test_a_root_of_the_network_has_all_files() -> None:
    assert is_below("/etc/pybal/web", remote_mounts("1 0 0:1 / / rw - nfs x rw"), read_link)
