"""What stands on one store connection."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.access import SourceRules
from headrace.answer.asking import Asker
from headrace.answer.service import Reader
from headrace.engines.embedded import EmbeddedEngine
from headrace.knowledge.renewing import Renewal
from headrace.knowledge.stages import Stages
from headrace.knowledge.teller import Teller
from headrace.knowledge.verifier import Verifier
from headrace.log import Log
from headrace.stores import Store


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """Everything that stands on one store connection; rebuilt as a whole when the store breaks."""

    store: Store
    log: Log
    engine: EmbeddedEngine
    reader: Reader
    asker: Asker
    verifier: Verifier
    renewal: Renewal
    stages: Stages
    teller: Teller
    access: SourceRules
