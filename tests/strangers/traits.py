"""What a stranger does differently. The defaults are a plain server by the book."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Traits:
    """Each field is something seen on a real server, or allowed by the specification."""

    base: str = "/fhir"
    # Versions
    version_ids: Literal["number", "uuid", "json"] = "number"
    """json: a JSON number in the body."""
    tells_version: bool = True
    """meta.versionId stands in the body."""
    etag: Literal["weak", "strong", "none"] = "weak"
    etag_suffix: str = ""
    """What a proxy that compresses adds to the tag, and doesn't take off again: -gzip."""
    skew_s: float = 0.0
    """How much its clock is ahead."""
    history: bool = True
    """Of one resource."""
    history_since: Literal[200, 400, 501] = 200
    """Answer to `_since` on the history of one resource."""
    history_order: Literal["newest", "oldest"] = "newest"
    type_history: Literal["told", "hapi", "none"] = "told"
    """Deletes with their time, without it and with the version in the url, or no history of a type at all."""
    fhir_version: str = "4.0.1"
    identical_makes_version: bool = True
    last_updated: Literal["millis", "seconds", "offset", "none"] = "millis"
    # Writes
    stale: Literal[409, 412, 0] = 412
    """Answer to an If-Match of another version; 0 ignores it."""
    patch: Literal[200, 400, 404, 405, 415, 500, 501] = 200
    """200: JSON Patch is understood."""
    patch_says: str = "PATCH is not supported here"
    failed_test: Literal[400, 422] = 422
    patch_answers_body: bool = True
    patch_answers_etag: bool = True
    put_answers_body: bool = True
    doubles: bool = False
    """JSON Patch turns every decimal of the resource into a double."""
    strips: bool = False
    """Unknown extensions are dropped, with a 200."""
    rejects: bool = False
    """Unknown extensions are refused with 422 that names the url."""
    drops: int = 0
    """The first writes are done, and the connection is closed without an answer."""
    deleted: Literal[410, 404] = 410
    # Searches
    page: int = 1000
    """Largest page, whatever _count says."""
    paging: Literal["offset", "token", "relative", "path"] = "offset"
    tells_total: bool = True
    tells_time: bool = True
    """Bundle.meta.lastUpdated."""
    full_urls: bool = True
    outcome_entry: bool = False
    subsets: bool = False
    """Searches give only some elements of each resource, tagged SUBSETTED."""
    unknown_params: Literal[400, 422, 500, 501, 0] = 0
    """Answer to a parameter that isn't known; 0 ignores it."""
    lacks: frozenset[str] = frozenset()
    """Search parameters that it doesn't know: date, _lastUpdated, _sort, status, _id, _count."""
    lacks_types: frozenset[str] = frozenset()
    """Resource types that it doesn't have."""
    lacks_status: Literal[400, 404, 501] = 404
    loops: bool = False
    """The last page has a `next` link, to itself."""
    includes: bool = False
    """Patients come along with every search, as included."""
    bad: tuple[Any, ...] = ()
    """Entries that stand among those of every Appointment search."""
    public: str = ""
    """The origin that it believes to have: its links name that."""
    astray: str = ""
    """Another origin that its `next` links alone lead to."""
    # Manners
    busy: int = 0
    """So many requests first are answered with `busy_status`."""
    busy_status: Literal[429, 503] = 429
    retry_after: str = "1"
    refuses: Literal[0, 401, 403] = 0
    hidden: frozenset[str] = frozenset()
    """`Type/id`, or `Type`, that we may not see: left out of searches, 403 to a direct read."""
    refuses_writes: Literal[0, 401, 403] = 0
    html: bool = False
    """Every answer is a page of HTML, as a proxy gives it."""
    redirects: bool = False
    moves: Literal[0, 301, 302, 307, 308] = 0
    """What is read is redirected to another path of the base."""
    tells_date: bool = True
    """The Date header."""
    gzips: bool = False
    slow_s: float = 0.0
