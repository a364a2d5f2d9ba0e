"""How the server searches: pages, links, totals, filters, order, and what it says of its versions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from api.doctor.asking import Json, PageSeen, last_updated, page, search, seen_in, sized
from api.doctor.filters import filter_findings, sort_finding
from api.doctor.findings import Check, Finding, counted, note, ok, problem, warning
from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.errors import BadAddressError, FhirServerError
from fhir_adapters.links import base_told
from fhir_adapters.sync import PAGE_SIZE, stamp
from twin.timebase import wall_now

MAX_FOLLOWED = 4
_FEW = ("_count", "5")
Samples = Mapping[str, PageSeen]


async def sample(client: FhirClient, types: Iterable[str]) -> dict[str, PageSeen]:
    """The first large page of each type. Raises FhirServerError."""
    return {name: seen_in(await sized(client, name, PAGE_SIZE), name) for name in types}


async def search_findings(client: FhirClient, samples: Samples) -> list[Finding]:
    """Everything about searching that can be found out by reading."""
    return [
        _page_size(samples),
        await _paging(client, samples),
        _total(samples),
        *await filter_findings(client, samples),
        await sort_finding(client, largest(samples)),
        _freshness(),
    ]


def largest(samples: Samples) -> str:
    """The type that there is most of."""
    return max(samples, key=lambda name: len(samples[name].resources))


def _page_size(samples: Samples) -> Finding:
    """Whether the page size that the line asks for is given, and nothing is cut off."""
    cut = [name for name, seen in samples.items() if not seen.next_link and (seen.total or 0) > len(seen.resources)]
    if cut:
        said = f"{', '.join(cut)}: the total is more than the page shows, and there is no `next` link"
        todo = "either some may not be seen by this program, or the server cuts lists off: find out which"
        return warning(Check.PAGE_SIZE, said, todo, types=cut)
    sizes = [len(seen.resources) for seen in samples.values() if seen.next_link and seen.resources]
    if not sizes:
        return note(Check.PAGE_SIZE, f"all that is there fits on pages of {PAGE_SIZE}", asked=PAGE_SIZE)
    capped = min(sizes)
    if capped < PAGE_SIZE:
        said = f"pages of {capped} where {PAGE_SIZE} were asked for"
        return note(Check.PAGE_SIZE, said, "more requests; raise the server's limit", asked=PAGE_SIZE, given=capped)
    return ok(Check.PAGE_SIZE, f"pages of {capped} as asked for", asked=PAGE_SIZE, given=capped)


async def _paging(client: FhirClient, samples: Samples) -> Finding:
    """Small pages of one type, their links followed as the line follows them."""
    name = largest(samples)
    held = len(samples[name].resources)
    if held < 2:
        return note(Check.PAGING, "too little is there to try paging", "run it again with data")
    size = min(20, max(1, held // (MAX_FOLLOWED - 1)))
    try:
        seen = await search(client, name, ("_count", str(size)))
    except FhirServerError as error:
        if not may_be_the_search(error):
            raise
        said = f"the server refuses to be asked for a page size ({error.status})"
        return note(Check.PAGING, said, "the line takes the pages that come", asked=size)
    if seen.next_link is None:
        if len(seen.resources) < held:
            return problem(Check.PAGING, f"no `next` link after {size} of {held}", "turn paging on in the server")
        said = "the page size asked for is not heeded: everything comes at once"
        return note(Check.PAGING, said, "the line copes; it needs more memory at once", asked=size, given=held)
    return await _followed(client, name, seen, needed=samples[name].next_link is not None)


async def _followed(client: FhirClient, name: str, first: PageSeen, *, needed: bool) -> Finding:
    """Follow the links; `needed` says that the line has to as well, with the data of today."""
    refs, followed, seen = Counter(first.refs), list[str](), first
    told, moved = base_told(first.self_link, name), False
    while seen.next_link is not None and len(followed) < MAX_FOLLOWED:
        try:
            target = client.base.resolve(seen.next_link, seen_at=seen.url)
        except BadAddressError as error:
            home = None if told is None else client.base.moved(seen.next_link, told)
            if home is None:
                return _led_astray(client, seen.next_link, error, needed=needed)
            target, moved = home, True
        if target in (first.url, *followed):
            said = "a `next` link leads back to a page that was read"
            todo = "what was read until then is used, but deletes are found late: mend it in the server"
            return warning(Check.PAGING, said, todo, type=name, pages=len(followed) + 1)
        followed.append(target)
        seen = await page(client, target, name)
        refs.update(seen.refs)
    relative = bool(first.next_link and not urlsplit(first.next_link).netloc)
    numbers = {"type": name, "pages": len(followed) + 1, "relative": relative}
    said = f"{counted(len(followed) + 1, 'page')} of {name} followed{', by relative links' if relative else ''}"
    if repeated := sum(count > 1 for count in refs.values()):
        said += f"; {counted(repeated, 'resource')} came twice"
        todo = "pages shift while data change, or the order is not stable: the regular full reads make up for it"
        return note(Check.PAGING, said, todo, **numbers, repeated=repeated)
    if moved and told is not None:
        said += f"; the server calls itself {told.url}, its links are followed at the base URL"
        todo = "have the proxy tell the server its address: absolute references between resources are not understood"
        return note(Check.PAGING, said, todo, **numbers, repeated=0, link_base=told.url)
    return ok(Check.PAGING, said, **numbers, repeated=0)


def _led_astray(client: FhirClient, link: str, error: BadAddressError, *, needed: bool) -> Finding:
    try:
        parts = urlsplit(link)
        origin = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}" if parts.netloc else ""
    except ValueError:
        origin = ""
    said = f"a `next` link is not followed: {error}"
    todo = f"reach the server under the address that it names ({origin or 'unreadable'}), or mend that in the server"
    make = problem if needed else warning
    return make(Check.PAGING, said, todo, base=client.base.url, link_origin=origin)


def _total(samples: Samples) -> Finding:
    silent = [name for name, seen in samples.items() if seen.total is None]
    if silent:
        return note(Check.TOTAL, f"no total told for {', '.join(silent)}; it is not needed", types=silent)
    totals = {name: seen.total for name, seen in samples.items()}
    return ok(Check.TOTAL, ", ".join(f"{name} {total}" for name, total in totals.items()), totals=totals)


def _freshness() -> Finding:
    said = "whether searches show a change at once can't be seen by reading"
    return note(Check.FRESHNESS, said, "name a tagged resource with --try-write; the line asks with no-cache")


# Versions


async def version_findings(client: FhirClient, samples: Samples) -> list[Finding]:
    """What the server says of versions, and whether it tells their history."""
    name = largest(samples)
    shown = samples[name]
    return [
        await _versions(client, shown),
        last_updated_finding([one for seen in samples.values() for one in seen.resources]),
        *await _histories(client, name, shown),
    ]


async def _versions(client: FhirClient, shown: PageSeen) -> Finding:
    if not shown.refs:
        return note(Check.VERSIONS, "nothing is there to be read directly", "run it again with data")
    answer = await client.read(shown.refs[0])
    resource = answer.json()
    in_body = isinstance(resource, dict) and isinstance(resource.get("meta"), dict) and "versionId" in resource["meta"]
    told = answer.version_id
    tag = answer.headers.get("etag", "")
    form = "none" if not tag else "weak" if tag.startswith("W/") else "strong"
    numbers = {"version_id_in_body": in_body, "etag": form, "numeric": bool(told and told.isdecimal())}
    said = f"versionId {'in' if in_body else 'not in'} the body, {form if tag else 'no'} ETag"
    if told is None:
        todo = "nothing can be written safely: turn versioning on in the server"
        return warning(Check.VERSIONS, said, todo, **numbers)
    return ok(Check.VERSIONS, said, **numbers)


def last_updated_finding(resources: Sequence[Json]) -> Finding:
    """How precise meta.lastUpdated is: changes are found by it, and states are dated by it."""
    told = [stamp for one in resources if (stamp := last_updated(one))]
    missing = len(resources) - len(told)
    digits = max((_fraction(stamp) for stamp in told), default=0)
    numbers = {"seen": len(resources), "missing": missing, "fraction_digits": digits}
    if missing:
        todo = "without it every poll reads everything, and states have no time: have the server tell meta.lastUpdated"
        return warning(Check.LAST_UPDATED, f"missing on {missing} of {len(resources)} resources", todo, **numbers)
    if not told:
        return note(Check.LAST_UPDATED, "nothing is there to see it on", "run it again with data", **numbers)
    if digits == 0:
        return note(Check.LAST_UPDATED, "in whole seconds", "the line copes: it polls with an overlap", **numbers)
    return ok(Check.LAST_UPDATED, f"with {counted(digits, 'digit')} of a second", **numbers)


def _fraction(stamp: str) -> int:
    _, dot, rest = stamp.partition(".")
    return len(rest) - len(rest.lstrip("0123456789")) if dot else 0


async def _histories(client: FhirClient, name: str, shown: PageSeen) -> list[Finding]:
    since = ("_since", stamp(wall_now(), 3600.0))
    todo = "what was deleted is found by full reads only"
    found = [await _history(client, Check.HISTORY, f"{name}/_history", (since, _FEW), todo=todo)]
    if shown.refs:
        todo = "states between two polls are lost, and a write is compared with less"
        found.append(await _history(client, Check.INSTANCE_HISTORY, f"{shown.refs[0]}/_history", (_FEW,), todo=todo))
    return found


async def _history(client: FhirClient, check: Check, path: str, params: Params, *, todo: str) -> Finding:
    kind = "of a type" if check is Check.HISTORY else "of one resource"
    try:
        bundle = (await client.get(path, params=params)).json()
    except FhirServerError as error:
        return note(check, f"no history {kind}", todo, offered=False, status=error.status)
    if not isinstance(bundle, dict) or bundle.get("type") != "history":
        return note(check, f"no history {kind}: another answer came", todo, offered=False)
    return ok(check, f"the history {kind} is told", offered=True)
