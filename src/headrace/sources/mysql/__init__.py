"""MySQL and MariaDB by their binary log: `open` makes the source that `mysql://` names."""

from headrace.sources import Source, SourceSettings
from headrace.sources.mysql.source import MysqlSource


def open(settings: SourceSettings) -> Source:
    """Connects when the stream starts. Raises ConfigError for a URL that cannot be read."""
    return MysqlSource(settings)
