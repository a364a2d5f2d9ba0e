"""The first fold: per resource the newest version, and what only all its versions together can tell."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter
from types import MappingProxyType
from typing import TypeVar

from msgspec import structs

from twin.facts import Assertion, Deleted, EncounterFact, Fact, Stamp
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
        mine = [
            (ref, resource, content)
            for ref, resource in self.resources.items()
            if isinstance(content := resource.content.assertion, kind) and (deleted or not resource.deleted)
        ]
        for _, resource, content in sorted(mine, key=itemgetter(0)):
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


CAME_BACK = "came-back"
"""Finding of a version that the server shows again after a newer one: it was restored from a backup."""
_CLOCK = timedelta(seconds=1)
"""Two readings of one instant may differ by so much where a server leaves the fraction out."""
_NO_NAME = frozenset({"no-version-id", "no-last-updated"})


def went_back(known: Fact, seen: Fact) -> bool:
    """True where a server must have been restored: a version with another time or content, or a lower one, but later.

    Says nothing of versions that the server gives no name or no time, and of those that are known to have come back.
    """
    one, other = known.key, seen.key
    if {*known.findings, *seen.findings} & {*_NO_NAME, CAME_BACK} or isinstance(known.assertion, Deleted):
        return False
    later = other.last_updated - one.last_updated
    if one.version_id == other.version_id:
        return abs(later) > _CLOCK or known.content_hash != seen.content_hash
    numbers = one.version_id.isdecimal() and other.version_id.isdecimal()
    return numbers and int(other.version_id) < int(one.version_id) and later > _CLOCK


def brought_back(known: Fact, seen: Fact) -> Fact:
    """What a restored server shows, dated so that it is newer than what was known before the backup came back."""
    at = order(known)[0] + timedelta(milliseconds=1)
    key = structs.replace(seen.key, last_updated=at)
    return structs.replace(seen, key=key, findings=(*seen.findings, CAME_BACK))


def unjoined(ledger: Ledger, facts: Iterable[Fact], *, states_only: bool = True) -> frozenset[str]:
    """Refs of which versions lie between those that the ledger holds and these facts.

    Versions that are no numbers never join on, since nobody knows what lies between. `states_only`: only of facts that
    show a state without an instant, whose time is that of the first version that showed it.
    """
    seen: dict[str, list[Fact]] = {}
    for fact in facts:
        if not isinstance(fact.assertion, Deleted) and "no-version-id" not in fact.findings:
            seen.setdefault(fact.key.ref, []).append(fact)
    return frozenset(
        ref
        for ref, mine in seen.items()
        if not _joins(ledger.resources.get(ref), {fact.key.version_id for fact in mine})
        and (not states_only or any(_states(fact) for fact in mine))
    )


def _joins(known: Resource | None, versions: set[str]) -> bool:
    before = known.newest.key.version_id if known and not known.deleted else "0" if known is None else ""
    if not (before.isdecimal() and all(version.isdecimal() for version in versions)):
        return known is not None and versions <= {known.newest.key.version_id}
    new = {number for version in versions if (number := int(version)) > int(before)}
    return len(new) == max(new, default=int(before)) - int(before)


_SAME_STAMP = timedelta(minutes=30)
"""A time told within this of an earlier one corrects it; one further off belongs to another visit (guess)."""


def first_told(resource: Resource, stamp: Stamp) -> datetime | None:
    """Wall time of the version that first told a time, or one that it corrects.

    None where no earlier version without it is known: what came by a first load or a bulk export does not tell when a
    time was entered, only when the resource last changed. None too where the server dates its versions wrongly.
    """
    if stamp.at is None:
        return None
    versions = sorted(resource.first_of_content.values(), key=order)
    told = next((number for number, fact in enumerate(versions) if _tells(fact, stamp, stamp.at)), 0)
    if told == 0 or {*_NO_NAME, CAME_BACK} & {*versions[told].findings}:
        return None
    return versions[told].key.last_updated


def _tells(fact: Fact, stamp: Stamp, at: datetime) -> bool:
    return any(
        milestone is stamp.milestone and location == stamp.location and abs(other - at) <= _SAME_STAMP
        for milestone, location, other in _times(fact.assertion)
    )


def _times(assertion: Assertion) -> Iterator[tuple[Milestone, str | None, datetime]]:
    """Every time that a version tells of a milestone, with its place, whatever kind of place that is."""
    for stamp in getattr(assertion, "stamps", ()):
        if stamp.at is not None:
            yield stamp.milestone, stamp.location, stamp.at
    if isinstance(assertion, EncounterFact):
        for stay in assertion.stays:
            for part, at in stay.told():
                yield from ((rule.milestone, stay.location, at) for rule in assertion.stay_rules if rule.part == part)


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


def is_known(ledger: Ledger, fact: Fact) -> bool:
    """True for a version that comes again; without lastUpdated, one that says the same as the newest."""
    resource = ledger.resources.get(fact.key.ref)
    if resource is None:
        return False
    if isinstance(fact.assertion, Deleted) and resource.deleted:
        return True
    newest = resource.newest
    if fact.key == newest.key:
        return fact == newest
    same = fact.content_hash == newest.content_hash and fact.carried == newest.carried
    undated = "no-last-updated" in fact.findings or CAME_BACK in newest.findings
    return same and fact.key.version_id == newest.key.version_id and undated


def is_older(ledger: Ledger, fact: Fact) -> bool:
    """True where a version came before the one known, though it was written later: a restored backup."""
    resource = ledger.resources.get(fact.key.ref)
    return resource is not None and went_back(resource.newest, fact)


def is_behind(ledger: Ledger, fact: Fact) -> bool:
    """True for a version of a known resource that is older than its newest, and not that one again."""
    return order(fact) < order(ledger.resources[fact.key.ref].newest) and not is_known(ledger, fact)
