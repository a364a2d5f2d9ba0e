"""Results that the site names, of the patients of its cases: searched for some patients at a time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fhir_adapters import links
from fhir_adapters.by_id import chunks
from fhir_adapters.client import FhirClient, Page, Params, may_be_the_search
from fhir_adapters.content import entries
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError, RefusedError
from fhir_adapters.gathering import Batch, Gathered, direct, together
from fhir_adapters.normalise import Normaliser
from fhir_adapters.server import ServerCapabilities
from fhir_adapters.sync import PAGE_SIZE, ignored_filters
from twin.site import RegressorOption

_NO_CODE = frozenset({"RiskAssessment"})
"""Types without a search parameter `code`: all of a patient's are looked through."""


async def read_results(
    client: FhirClient,
    normaliser: Normaliser,
    named: Mapping[str, Sequence[str]],
    patient_ids: Iterable[str],
    *,
    observed_at: datetime | None = None,
) -> Batch:
    """The named results of some patients (real ids); `named`: by resource type, `system|code`.

    A type that the server doesn't offer, may not be read, or can't be searched by patient is left out with a warning:
    durations do without. No other patient's result is read.
    """
    wanted = sorted({one for one in patient_ids if links.is_id(one)})
    reader = _Reader(client, normaliser, observed_at)
    work = [reader.read(kind, codes, chunk) for kind, codes in named.items() for chunk in chunks(wanted)]
    return direct(await together(work))


def offered(
    options: Iterable[RegressorOption], chosen: Collection[str], capabilities: ServerCapabilities
) -> tuple[dict[str, list[str]], list[str]]:
    """What to ask a server for, codes by resource type, and what it lacks of the results `chosen` by name.

    Those chosen are asked for unless the server denies the type; the others only where it says that it has it.
    """
    named: dict[str, list[str]] = {}
    lacking = []
    for option in options:
        has = capabilities.offers_type(option.resource)
        if has is False and option.name in chosen:
            lacking.append(f"durations.regressors.{option.name}: the server has no {option.resource}, done without")
        elif has or option.name in chosen:
            named.setdefault(option.resource, []).extend(option.codes)
    return named, lacking


class _Reader:
    def __init__(self, client: FhirClient, normaliser: Normaliser, observed_at: datetime | None) -> None:
        self._client = client
        self._normaliser = normaliser
        self._observed_at = observed_at

    async def read(self, kind: str, codes: Sequence[str], patients: Sequence[str]) -> Batch:
        """Of one type and some patients, in the first way of asking that the server takes."""
        for params in _ways(kind, codes, patients):
            into = Gathered(self._normaliser, self._observed_at)
            try:
                if await self._search(into, kind, params, frozenset(patients)):
                    await into.complete(self._client)
                    return into.batch(kind)
            except (NotFoundError, RefusedError) as error:
                return Batch(warnings=(f"{kind}s are not read, durations do without: {error}",))
            except EndlessError:
                return into.batch(kind)
            except FhirServerError as error:
                if not may_be_the_search(error):
                    raise
        return Batch(warnings=(f"{kind}s are not read, durations do without: no search by patient here",))

    async def _search(self, into: Gathered, kind: str, params: Params, patients: frozenset[str]) -> bool:
        """All pages; False where the server ignores who is asked for, and so would give everybody's."""
        async for page in self._client.search(kind, params):
            if page.number == 1 and "patient" in _ignored(page, kind, params):
                return False
            await into.add(page, kind, only=_wanted(self._normaliser, page.bundle, patients))
        return True


def _ways(kind: str, codes: Sequence[str], patients: Sequence[str]) -> list[list[tuple[str, str]]]:
    who = [("patient", ",".join(patients))]
    what = [] if kind in _NO_CODE else [("code", ",".join(codes))]
    count = ("_count", str(PAGE_SIZE))
    subjects = [("subject", ",".join(f"Patient/{one}" for one in patients))]
    return [[*who, *what, count], [*subjects, *what, count], *([[*who, count]] if what else [])]


def _ignored(page: Page, kind: str, params: Params) -> set[str]:
    told = ignored_filters(page.self_link, kind, params)
    return {"patient" if name == "subject" else name for name in told}


def _wanted(normaliser: Normaliser, bundle: Mapping[str, Any], patients: frozenset[str]) -> frozenset[str]:
    """Ids of a page's results that the site names and that are of these patients."""
    found = (entry.get("resource") for entry in entries(bundle) if isinstance(entry, dict))
    return frozenset(
        str(one.get("id")) for one in found if isinstance(one, dict) and normaliser.wants(one) and _is_of(one, patients)
    )


def _is_of(resource: dict[str, Any], patients: frozenset[str]) -> bool:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return isinstance(reference, str) and reference.partition("/_history/")[0].rpartition("/")[2] in patients
