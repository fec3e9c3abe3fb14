"""The one base of every error that a person may meet."""

from __future__ import annotations


class HeadraceError(Exception):
    """Says which step failed, what was expected, what came, and what to do about it.

    `got` never holds a secret: whoever raises it redacts addresses first.
    `status` is the HTTP status that a face answers with.
    """

    status = 500
    title = "Something failed"

    def __init__(self, *, step: str, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{step}: expected {expected}, got {got}. {remedy}")
        self.step = step
        self.expected = expected
        self.got = got
        self.remedy = remedy

    @property
    def failure(self) -> tuple[str, str, str, str]:
        """Step, expected, got, remedy."""
        return (self.step, self.expected, self.got, self.remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.step, self.expected, self.got, self.remedy))


def _rebuild(kind: type[HeadraceError], step: str, expected: str, got: str, remedy: str) -> HeadraceError:
    return kind(step=step, expected=expected, got=got, remedy=remedy)


class ConfigError(HeadraceError):
    """A setting is unknown, missing or out of range."""

    status = 400
    title = "The configuration cannot be used"


def without_extra(extra: str, step: str, missing: ImportError, instead: str = "") -> ConfigError:
    """An adapter whose packages are not installed. `instead`: what else would help."""
    return ConfigError(
        step=step,
        expected=f"the packages of headrace[{extra}]",
        got=str(missing),
        remedy=f"Install them: pip install 'headrace[{extra}]'{instead and f'; {instead}'}.",
    )


class BadRequest(HeadraceError):
    """A client's request cannot be understood."""

    status = 400
    title = "The request cannot be understood"


class NotFound(HeadraceError):
    """What a client asked for is not there (or not at that point in time)."""

    status = 404
    title = "Not found"


class Forgotten(HeadraceError):
    """A point in time whose history was purged."""

    status = 410
    title = "History does not reach back so far"


class Lagging(HeadraceError):
    """`after` was not reached within `wait_ms`: the answer would have missed a change that the client knows of."""

    status = 409
    title = "Not yet applied"


class SourceError(HeadraceError):
    """A source cannot be read as configured, or lost what it had promised to keep."""

    status = 503
    title = "A source is not available"


class BadInput(HeadraceError):
    """One change cannot be processed: it goes to the dead letters and the rest goes on."""

    status = 422
    title = "One input cannot be processed"


class StoreError(HeadraceError):
    """The store is not reachable, not as expected, or already in use."""

    status = 503
    title = "The store is not available"


class RedactionError(HeadraceError):
    """What must not be shown cannot be found now: the text waits, it is not let through."""

    status = 503
    title = "Texts cannot be redacted"


class ServiceError(HeadraceError):
    """A service behind an address does not do now what it is asked for. `after_s`: in how many seconds it is worth
    trying, where that is known."""

    status = 503
    after_s: float | None = None


class EmbeddingError(ServiceError):
    """A service that embeds texts does not, now: what waits for it goes on when it does again."""

    title = "Texts cannot be embedded now"


class RerankingError(ServiceError):
    """Passages cannot be scored now: they stay in the order that they have."""

    title = "Passages cannot be reranked now"


class GenerationError(HeadraceError):
    """A language model did not answer, or not to the end."""

    status = 502
    title = "The language model did not answer"


class GenerationRefused(GenerationError):
    """A language model refuses this very request; another one it may answer."""

    title = "The language model refuses it"


class Fenced(StoreError):
    """Another writer took over: this one must stop, nothing of its batch was written."""

    status = 409
    title = "Another writer took over"
