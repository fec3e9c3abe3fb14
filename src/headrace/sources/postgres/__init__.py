"""PostgreSQL by logical replication: `open` makes the source that `postgresql://` names."""

from headrace.sources import Source, SourceSettings
from headrace.sources.postgres.source import PostgresSource


def open(settings: SourceSettings) -> Source:
    """Connects when the stream starts. Raises ConfigError for a URL that cannot be read."""
    return PostgresSource(settings)
