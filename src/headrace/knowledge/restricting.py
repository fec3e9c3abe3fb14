"""What the configuration says of documents' readers, brought to those that are there before anybody reads them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from headrace.access import NO_RULES, Rules, SourceRules
from headrace.knowledge.rows import RowTemplate
from headrace.stores import Store

AT_ONCE = 1000
"""Documents in one transaction."""
_NOTHING = NO_RULES.told()
_NO_COLUMNS = ""

logger = structlog.get_logger("headrace.knowledge")


async def restrict(store: Store, access: SourceRules, rows: Mapping[str, RowTemplate]) -> None:
    """Nothing where the rules are those of the last time. Rows whose columns say it otherwise are for nobody until they
    are rendered anew. To be called before documents are read or written."""
    before = await store.restricted()
    now = {f"source {name}": rules.told() for name, rules in access.of_source.items()}
    now |= {f"rows {topic}": _columns(template) for topic, template in rows.items()}
    for name, rules in access.of_source.items():
        if now[f"source {name}"] != before.get(f"source {name}", _NOTHING):
            await _source(store, name, rules)
    for topic in rows:
        columns = now[f"rows {topic}"]
        if columns not in (_NO_COLUMNS, before.get(f"rows {topic}", _NO_COLUMNS)):
            await _rows(store, topic)
    if now != {name: told for name, told in before.items() if name in now}:
        await store.restricted({**before, **now})


async def _source(store: Store, source: str, rules: Rules) -> None:
    after, count = source + "/", 0
    while True:
        async with store.snapshot() as snapshot:
            page = await snapshot.stock.ever(source, after, AT_ONCE)
        if not page:
            break
        async with store.transaction() as transaction:
            await transaction.knowledge.restrict({id: rules.of(id.removeprefix(source + "/")) for id in page})
        after, count = page[-1], count + len(page)
    if count:
        logger.info("documents have the readers that the configuration says", source=source, documents=count)


async def _rows(store: Store, topic: str) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.seclude(topic)
    logger.info("rows can be read once it is known again whom they are for", topic=topic)


def _columns(template: RowTemplate) -> str:
    if template.owner is None and template.groups is None:
        return _NO_COLUMNS
    return msgspec.json.encode([template.owner, template.groups]).decode()
