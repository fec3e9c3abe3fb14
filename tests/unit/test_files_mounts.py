"""On which file system a folder lies, by the kernel's own table."""

import pytest

from headrace.sources.files.mounts import NETWORK, kind_of

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /srv rw,relatime shared:7 master:3 - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /srv/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:27 / /mnt/a\040share rw - cifs //server/share rw
33 22 0:28 / /mnt/a\040share rw - tmpfs tmpfs rw
34 22 0:29 / /srvice rw - fuse.sshfs host: rw
odd line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/ada", "ext4"),
        ("/", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/policies", "nfs4"),
        ("/srv/local/policies", "xfs"),
        ("/srvice/x", "fuse.sshfs"),
        ("/mnt/a share/x", "tmpfs"),
    ],
)
def test_the_nearest_mount_tells(folder: str, kind: str) -> None:
    assert kind_of(folder, MOUNTS) == kind
    assert (kind in NETWORK) == (kind in ("nfs4", "fuse.sshfs"))


def test_nothing_is_known_without_a_table() -> None:
    assert kind_of("/srv", "") == ""
