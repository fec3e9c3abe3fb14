"""The `file://` source: a folder of documents, each file one, followed live.

What is a document: every regular file at any depth whose path `Ignore` takes. Links are never followed, neither to
files nor to folders, wherever they point; only the folder that the url names may itself be a link. Pipes, sockets and
devices are ignored. A path is kept exactly as the file system gives it.

What is a change: the difference between a file as it is and as it was last given. A file counts as committed when its
writer closes it, when it is renamed into place, or when it was not written to for a while; a name that vanishes and
comes back at once (an editor's save) was changed, not deleted. A file that keeps its content gives no change. When a
rename moves more than one batch of files, they are created at their new paths before they are deleted at the old.

What cannot be given (no right to read it, larger than `max_bytes`, a name that is not UTF-8) is rejected, and what was
given of it before is deleted, so that nothing stale is served. It is read again by itself when it changes in content
or rights, when Headrace starts, and on `retry`. The key of a folder that cannot be listed is its path with a `/`.

A folder that vanishes as a whole (unmounted, moved away) is an outage, not a deletion: its documents stay, `problem`
says why nothing comes, and reading goes on when it is back. Files that were seen to be deleted before are. An empty
folder that is not the one that was read before is taken for a lost mount too.

Not seen while it happens: writes through another name of a file (a hard link outside of the folder), and on network
file systems those of other machines; they are found at the next start.
"""

from __future__ import annotations

from headrace.sources import Source, SourceSettings
from headrace.sources.files.source import FileSource


def open(settings: SourceSettings) -> Source:
    """The source that the settings describe; nothing is read yet. Raises ConfigError."""
    return FileSource(settings)
