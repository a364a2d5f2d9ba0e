"""The first fold: per resource the newest version, and what only all its versions together can tell."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from twin.facts import Assertion, Deleted, Fact
from twin.vocabulary import Milestone, Provenance

A = TypeVar("A", bound=Assertion)

# A server may tell the time of a delete in whole seconds only: it comes after any version of the same second.
_DELETE_AFTER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the hospital as all its known versions tell it."""

    newest: Fact
    content: Fact
    """The newest version that is not a delete."""
    first_shown: Mapping[Milestone, datetime] = field(default_factory=dict)
    """Wall time of the earliest version that shows a state which has no instant of its own."""
    first_of_content: Mapping[str, Fact] = field(default_factory=dict)
    """Content hash -> the earliest version with that content: the hospital's own, before our annotations of it."""

    @property
    def ref(self) -> str:
        """`Type/id`."""
        return self.newest.key.ref

    @property
    def deleted(self) -> bool:
        """True where the newest thing known is that it is gone."""
        return isinstance(self.newest.assertion, Deleted)

    @property
    def his_version(self) -> str:
        """`Type/id/_history/v` of the hospital's version that introduced today's content."""
        first = self.first_of_content[self.content.content_hash]
        return f"{first.key.ref}/_history/{first.key.version_id}"


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything known of one server, by `Type/id`."""

    resources: Mapping[str, Resource] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, kind: type[A], *, deleted: bool = False) -> Iterator[tuple[Resource, A]]:
        """Resources whose content is of a kind, in the order of their refs; deleted ones only where asked for."""
        for ref in sorted(self.resources):
            resource = self.resources[ref]
            content = resource.content.assertion
            if isinstance(content, kind) and (deleted or not resource.deleted):
                yield resource, content

    def get(self, ref: str | None, kind: type[A]) -> A | None:
        """The content of one resource that is still there, None where it is unknown, deleted or of another kind."""
        resource = self.resources.get(ref) if ref else None
        if resource is None or resource.deleted:
            return None
        content = resource.content.assertion
        return content if isinstance(content, kind) else None


def order(fact: Fact) -> tuple[datetime, int, str, str]:
    """Which version is newer: by lastUpdated, then by number where the version is one, else by its name.

    Two of the same name with other contents (a restored server) have an order too, if a meaningless one.
    """
    key = fact.key
    deleted = isinstance(fact.assertion, Deleted)
    number = int(key.version_id) if key.version_id.isdecimal() else 0
    return key.last_updated + (_DELETE_AFTER if deleted else timedelta()), number, key.version_id, fact.content_hash


def fold(ledger: Ledger, facts: Iterable[Fact]) -> Ledger:
    """The ledger with more facts in it. Commutative and idempotent."""
    resources = dict(ledger.resources)
    for fact in facts:
        known = resources.get(fact.key.ref)
        resources[fact.key.ref] = _opened(fact) if known is None else _extended(known, fact)
    return Ledger(MappingProxyType(resources))


def changed(before: Ledger, after: Ledger) -> frozenset[str]:
    """Refs whose content differs between two ledgers: what the hospital changed, not what we annotated."""
    return frozenset(
        ref
        for ref, resource in after.resources.items()
        if (known := before.resources.get(ref)) is not resource
        and (known is None or _content(known) != _content(resource))
    )


def _content(resource: Resource) -> tuple[str, bool]:
    return resource.content.content_hash, resource.deleted


def _opened(fact: Fact) -> Resource:
    return Resource(
        newest=fact,
        content=fact,
        first_shown=_states(fact),
        first_of_content={fact.content_hash: fact},
    )


def _extended(known: Resource, fact: Fact) -> Resource:
    newest = max(known.newest, fact, key=order)
    if isinstance(fact.assertion, Deleted):
        return replace(known, newest=newest)
    # Where only the delete was known so far, it stands in for the content until a version is.
    content = fact if isinstance(known.content.assertion, Deleted) else max(known.content, fact, key=order)
    shown = dict(known.first_shown)
    for milestone, at in _states(fact).items():
        shown[milestone] = min(at, shown.get(milestone, at))
    firsts = dict(known.first_of_content)
    firsts[fact.content_hash] = min(fact, firsts.get(fact.content_hash, fact), key=order)
    return Resource(newest=newest, content=content, first_shown=shown, first_of_content=firsts)


def _states(fact: Fact) -> dict[Milestone, datetime]:
    stamps = getattr(fact.assertion, "stamps", ())
    return {
        milestone: fact.key.last_updated
        for stamp in stamps
        if stamp.provenance is Provenance.DERIVED
        for milestone in (stamp.milestone, stamp.without_visit)
        if milestone is not None
    }
