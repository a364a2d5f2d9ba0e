"""Whether search parameters do what they say: what comes is compared with what was asked for."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from api.doctor.asking import Json, PageSeen, last_updated, search, starts
from api.doctor.findings import Check, Finding, note, ok, warning
from fhir_adapters import dates
from fhir_adapters.client import FhirClient, may_be_the_search
from fhir_adapters.errors import FhirServerError, NotFoundError

FUTURE = "2100-01-01"
PAST = "1900-01-01"
_MANY = ("_count", "50")


class Verdict(StrEnum):
    """What became of a search parameter."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    MISSES = "misses"
    """It hides what it should show."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Trial:
    """A search of which it is known what must and must not come."""

    type: str
    name: str
    params: tuple[tuple[str, str], ...]
    allows: Callable[[Json], bool]
    """False for a resource that must not come."""
    expects: str | None = None
    """`Type/id` of one that must."""


async def filter_findings(client: FhirClient, samples: Mapping[str, PageSeen]) -> list[Finding]:
    """The parameters that the line uses, on every type that has a resource to try them with."""
    verdicts: dict[str, dict[str, Verdict]] = defaultdict(dict)
    silent: set[str] = set()
    for trial in _trials(samples):
        verdict, repeated = await _tried(client, trial)
        known = verdicts[trial.name].get(trial.type, Verdict.HONOURED)
        verdicts[trial.name][trial.type] = known if verdict is Verdict.HONOURED else verdict
        if repeated is False:
            silent.add(trial.name)
    if not verdicts:
        return [note(Check.FILTERS, "nothing is there to try search parameters with", "run it again with data")]
    return [*(_finding(name, mine) for name, mine in verdicts.items()), *_self_link(silent, verdicts)]


def _trials(samples: Mapping[str, PageSeen]) -> Iterator[Trial]:
    for name, seen in samples.items():
        resources = {ref: one for ref, one in zip(seen.refs, seen.resources, strict=False) if _ref(one) == ref}
        if not resources:
            continue
        ref = next(iter(resources))
        own = ref.partition("/")[2]
        yield Trial(name, "_id", (("_id", own), _MANY), _has("id", own), ref)
        yield from _changed(name, resources)
        if name != "Location":
            yield from _dated(name, resources)
        if name in ("Encounter", "Procedure"):
            status = str(resources[ref].get("status"))
            yield Trial(name, "status", (("status", status), _MANY), _has("status", status))


def _has(member: str, value: str) -> Callable[[Json], bool]:
    return lambda one: one.get(member) == value


def _ref(resource: Json) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _changed(name: str, resources: Mapping[str, Json]) -> Iterator[Trial]:
    told = {ref: at for ref, one in resources.items() if (at := dates.instant(last_updated(one)))}
    if told:
        newest = max(told, key=lambda ref: told[ref])
        since = told[newest]
        params = (("_lastUpdated", f"ge{since.isoformat()}"), _MANY)
        yield Trial(name, "_lastUpdated", params, lambda one: _is_since(one, since), newest)
    far = (("_lastUpdated", f"ge{FUTURE}T00:00:00Z"), ("_count", "1"))
    yield Trial(name, "_lastUpdated", far, lambda _: False)


def _is_since(resource: Json, since: datetime) -> bool:
    at = dates.instant(last_updated(resource))
    return at is None or at >= since - timedelta(seconds=1)


def _dated(name: str, resources: Mapping[str, Json]) -> Iterator[Trial]:
    yield Trial(name, "date", (("date", f"le{PAST}"), _MANY), lambda one: starts(one) is None)
    for ref, one in resources.items():
        try:
            day = date.fromisoformat((starts(one) or "")[:10])
            around = (str(day - timedelta(days=1)), str(day + timedelta(days=1)))
        except (ValueError, OverflowError):
            continue
        params = (("date", f"ge{around[0]}"), ("date", f"le{around[1]}"), ("_count", "200"))
        yield Trial(name, "date", params, lambda _: True, ref)
        return


async def _tried(client: FhirClient, trial: Trial) -> tuple[Verdict, bool | None]:
    """What became of it, and whether the self link repeats it."""
    try:
        seen = await search(client, trial.type, *trial.params)
    except FhirServerError as error:
        if not _is_refusal(error):
            raise
        return Verdict.REFUSED, None
    if not all(trial.allows(one) for one in seen.resources):
        return Verdict.IGNORED, seen.repeats(trial.name)
    # On a first page of several the one expected may come later.
    if trial.expects and seen.next_link is None and trial.expects not in seen.refs:
        return Verdict.MISSES, seen.repeats(trial.name)
    return Verdict.HONOURED, seen.repeats(trial.name)


def _is_refusal(error: FhirServerError) -> bool:
    return isinstance(error, NotFoundError) or may_be_the_search(error)


def _finding(name: str, verdicts: Mapping[str, Verdict]) -> Finding:
    numbers = {"parameter": name, "verdicts": {kind: str(verdict) for kind, verdict in verdicts.items()}}
    wrong = {kind: verdict for kind, verdict in verdicts.items() if verdict is not Verdict.HONOURED}
    if not wrong:
        return ok(Check.FILTERS, f"{name}: really filters {', '.join(verdicts)}", **numbers)
    said = f"{name}: " + ", ".join(f"{verdict} on {kind}" for kind, verdict in wrong.items())
    return warning(Check.FILTERS, said, _advice(name, set(wrong.values())), **numbers)


def _advice(name: str, wrong: set[Verdict]) -> str:
    if Verdict.MISSES in wrong:
        return "what it hides is not read: have the server reindex, or mend its search"
    if name == "_lastUpdated":
        return "every poll reads the whole type: have the server index it"
    return "more is read than needed: have the server index it"


def _self_link(silent: set[str], verdicts: Mapping[str, object]) -> list[Finding]:
    if silent:
        said = f"the self link leaves out {', '.join(sorted(silent))}"
        return [note(Check.SELF_LINK, said, "it usually means that they were not used", left_out=sorted(silent))]
    return [ok(Check.SELF_LINK, "the self link repeats what was asked for", tried=sorted(verdicts))]


async def sort_finding(client: FhirClient, resource_type: str) -> Finding:
    """Whether `_sort=_lastUpdated` sorts, tried in both directions."""
    orders = {}
    for name in ("_lastUpdated", "-_lastUpdated"):
        try:
            seen = await search(client, resource_type, ("_sort", name), _MANY)
        except FhirServerError as error:
            if not _is_refusal(error):
                raise
            return note(Check.SORT, "_sort=_lastUpdated is refused", "the line does without", sorted=False)
        orders[name] = [at for one in seen.resources if (at := dates.instant(last_updated(one)))]
    up, down = orders["_lastUpdated"], orders["-_lastUpdated"]
    if len({*up, *down}) < 2:
        return note(Check.SORT, "too little is there to see an order", "run it again with data")
    if up == sorted(up) and down == sorted(down, reverse=True):
        return ok(Check.SORT, "_sort=_lastUpdated sorts", sorted=True)
    todo = "pages of changes may miss some while data change: the regular full reads make up for it"
    return note(Check.SORT, "_sort=_lastUpdated does not sort", todo, sorted=False)
