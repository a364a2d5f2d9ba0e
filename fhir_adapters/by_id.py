"""Resources that others refer to, and what a whole reading didn't show: read by their ids."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from fhir_adapters import links
from fhir_adapters.client import FhirClient, may_be_the_search
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError, RefusedError
from fhir_adapters.gathering import Batch, Gathered, direct, read_each, together
from fhir_adapters.normalise import Normaliser

ID_CHUNK = 50


async def read_by_id(
    client: FhirClient,
    normaliser: Normaliser,
    resource_type: str,
    ids: Iterable[str],
    *,
    observed_at: datetime | None = None,
) -> Batch:
    """The resources of these real ids, some at a time; those that a search doesn't give are read one by one.

    Those that may not be read (401, 403) or are not offered at all are left out with a warning: cases do without.
    """
    wanted = sorted({one for one in ids if links.is_id(one)})
    gathered = [(Gathered(normaliser, observed_at), chunk) for chunk in chunks(wanted)]
    try:
        await together(_search(client, into, resource_type, chunk) for into, chunk in gathered)
    except (NotFoundError, RefusedError) as error:
        return Batch(warnings=(f"{resource_type}s are not read: {error}",))
    found = set().union(*(into.ids for into, _ in gathered))
    missing = [f"{resource_type}/{one}" for one in wanted if one not in found]
    return direct(
        [
            *(into.batch(resource_type) for into, _ in gathered),
            await read_each(client, normaliser, missing, observed_at),
        ]
    )


def chunks(values: Sequence[str]) -> list[Sequence[str]]:
    """So many of them as go into one search."""
    return [values[at : at + ID_CHUNK] for at in range(0, len(values), ID_CHUNK)]


async def _search(client: FhirClient, into: Gathered, resource_type: str, ids: Sequence[str]) -> None:
    wanted = frozenset(ids)
    try:
        async for page in client.search(resource_type, [("_id", ",".join(ids)), ("_count", str(ID_CHUNK))]):
            if not await into.add(page, resource_type, only=wanted):
                break  # it ignores `_id` and gives everything: what is missing is read by itself
    except EndlessError:
        pass  # what is missing is read by itself
    except FhirServerError as error:
        if not may_be_the_search(error):
            raise
        # No search by `_id` here: each is read by itself.
    await into.complete(client)


async def read_missing(
    client: FhirClient, normaliser: Normaliser, refs: Iterable[str], *, observed_at: datetime | None = None
) -> Batch:
    """Direct reads of what a whole reading didn't show: its fact where it is there, `Deleted` for 404 and 410.

    Takes no Patients, whose refs hold pseudonyms. Raises RefusedError for 401 and 403: that is no absence.
    """
    named = [ref for ref in sorted(set(refs)) if not ref.startswith("Patient/")]
    return await read_each(client, normaliser, named, observed_at)
