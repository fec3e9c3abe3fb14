"""How the embedded PostgreSQL is set up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.stores.embedded.memory import memory_mb
from headrace.stores.embedded.process import LINUX

# Chosen for one process with many small transactions on a laptop; `settings` overrides each.
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "timezone": "UTC",
        "max_connections": "100",
        # A vector index is walked page by page, each at random: one that does not fit is read with every search, which
        # took 18 ms where it took 2 (200,000 chunks, 220 MB). Only what is used is ever taken.
        "shared_buffers": f"{min(1024, max(128, memory_mb() // 32))}MB",
        "jit": "off",  # compiling costs more than the short queries here take
        "random_page_cost": "1.1",
        "io_method": "sync",  # what is hot is in memory: three reader processes would only take room
        # A stream of changes leaves at each commit, and an asynchronous commit is on disk within 10 ms.
        "wal_level": "logical",
        "max_wal_senders": "16",
        "max_replication_slots": "16",
        "wal_writer_delay": "10ms",
        "synchronous_commit": "on",
        "fsync": "on",
        # Fewer checkpoints mean fewer whole pages in the log; 512 MB of it are replayed in seconds after a crash.
        "checkpoint_timeout": "15min",
        "max_wal_size": "512MB",
        "min_wal_size": "80MB",
        # Before recovery everything goes to disk: by one call, where one for each of a thousand files took seconds.
        **({"recovery_init_sync_method": "syncfs"} if LINUX else {}),
        # Offsets and progress are rows updated all the time: cleaned before they fill pages.
        "autovacuum_naptime": "5s",
        "autovacuum_vacuum_threshold": "100",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.05",
        "autovacuum_max_workers": "2",
        # The log must neither grow by routine nor hold what statements carry.
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%d ",
        "log_min_messages": "warning",
        "log_min_error_statement": "panic",
        "log_checkpoints": "off",
        "log_autovacuum_min_duration": "-1",
    }
)
