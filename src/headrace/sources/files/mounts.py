"""On what kind of file system a folder lies. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ncpfs", "9p",
     "drvfs", "virtiofs", "vboxsf", "prl_fs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph",
     "fuse.gcsfuse", "fuse.goofys", "fuse.mount-s3", "fuse.blobfuse2", "fuse.davfs", "fuse.grpcfuse",
     "fuse.vmhgfs-fuse"}
)  # fmt: skip
"""Where others write without this kernel seeing it: inotify tells nothing of that."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def kind_of(folder: str, mountinfo: str) -> str:
    """The file system's type by /proc/self/mountinfo (proc_pid_mountinfo(5)); empty when nothing holds the folder.

    Of two mounts at one place the later one covers the earlier.
    """
    best, found = -1, ""
    path = PurePosixPath(folder)
    for line in mountinfo.splitlines():
        before, separator, behind = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5 or not behind:
            continue
        point = PurePosixPath(_ESCAPED.sub(lambda m: chr(int(m[1], 8)), fields[4]))
        if len(point.parts) >= best and path.is_relative_to(point):
            best, found = len(point.parts), behind.split()[0]
    return found
