"""Addresses: which ones may be put into a request to the FHIR server.

What a server, a resource or a caller gives is never trusted: an address must have exactly the origin of the base and a
path below it, and a reference must be made of a type and an id.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from fhir_adapters.errors import BadAddressError

_PORTS = {"http": 80, "https": 443}
_ID = re.compile(r"[A-Za-z0-9\-._]{1,64}", re.ASCII)  # `_` is not allowed by FHIR, but servers use it
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9\-._$]+(?:/[A-Za-z0-9\-._$]+)*", re.ASCII)
_VERSION = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)
_SUSPECT = re.compile(r"[\x00-\x20\\\x7f-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Base:
    """The base of one FHIR server: `url` without a slash at its end, its origin and its path."""

    url: str
    origin: tuple[str, str, int]
    path: str

    def resolve(self, link: str, *, seen_at: str | None = None) -> str:
        """A link of the server as an absolute address, relative ones against the address they were `seen_at`.

        Raises BadAddressError unless it has the exact origin of the base and a path at or below it.
        """
        parts = _split(_joined(seen_at or f"{self.url}/", _clean(link)))
        if _origin(parts) != self.origin or not self.covers(parts.path):
            raise BadAddressError(
                "a link of the FHIR server leads outside of its base; set the base URL to the address that the server "
                "gives in its own links"
            )
        return parts._replace(fragment="").geturl()

    def moved(self, link: str, told: "Base") -> str | None:
        """A link below the base that the server believes to have, at this base; None where it is not below that."""
        try:
            parts = _split(_clean(link))
            if _origin(parts) != told.origin or not told.covers(parts.path) or not parts.path.startswith(told.path):
                return None
            query = f"?{parts.query}" if parts.query else ""
            return self.resolve(f"{self.url}{parts.path.removeprefix(told.path)}{query}")
        except BadAddressError:
            return None

    def covers(self, path: str) -> bool:
        """True for a path at or below the base's, without any dot segment however often it is encoded."""
        plain = _unquoted(path)
        if any(segment in (".", "..") for segment in re.split(r"[/\\;]", plain)):
            return False
        return plain.rstrip("/") == self.path or plain.startswith(f"{self.path}/")

    def address(self, path: str) -> str:
        """The address of `metadata`, `Type`, `Type/id`, `Type/id/_history/2`, or of the base itself for ""."""
        if path and not (_PATH.fullmatch(path) and self.covers(f"{self.path}/{path}")):
            raise BadAddressError("a path below the base is made of types and ids; this one is not")
        return f"{self.url}/{path}" if path else self.url

    def relative(self, url: str) -> str | None:
        """What follows the base in an absolute address on this server, else None; None with a query or fragment too."""
        try:
            parts = _split(_clean(url))
        except BadAddressError:
            return None
        if _origin(parts) != self.origin or not self.covers(parts.path) or parts.query or parts.fragment:
            return None
        return parts.path[len(self.path) :].strip("/")


def base_of(url: str) -> Base:
    """The base of a FHIR server from its address. Raises BadAddressError."""
    parts = _split(_clean(url.rstrip("/")))
    if parts.query or parts.fragment:
        raise BadAddressError("the base URL of a FHIR server has no query and no fragment")
    base = Base(parts.geturl(), _origin(parts), _unquoted(parts.path).rstrip("/"))
    if not base.covers(parts.path):
        raise BadAddressError("the base URL of a FHIR server has no `.` or `..` in its path")
    return base


def base_told(self_link: str | None, path: str) -> Base | None:
    """The base that a server believes to have, by the `self` link of a search at `path`; None where it isn't told."""
    try:
        parts = _split(_clean(self_link or ""))
        if not parts.path.endswith(f"/{path}"):
            return None
        return base_of(parts._replace(path=parts.path.removesuffix(f"/{path}"), query="", fragment="").geturl())
    except BadAddressError:
        return None


def reference(ref: str) -> tuple[str, str]:
    """Type and id of `Type/id`. Raises BadAddressError where it is anything else."""
    resource_type, slash, resource_id = ref.partition("/")
    if not (slash and is_type(resource_type) and is_id(resource_id)):
        raise BadAddressError("a reference is `Type/id`; this one is not")
    return resource_type, resource_id


def is_reference(value: object) -> bool:
    """True for `Type/id`."""
    resource_type, _, resource_id = value.partition("/") if isinstance(value, str) else ("", "", "")
    return is_type(resource_type) and is_id(resource_id)


def is_id(value: object) -> bool:
    """True for a logical id: up to 64 letters, digits, `-`, `.`, and `_`, which some servers use."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None and value not in (".", "..")


def is_type(value: object) -> bool:
    """True for what can be the name of a resource type."""
    return isinstance(value, str) and _TYPE.fullmatch(value) is not None


def is_version(value: object) -> bool:
    """True for a version id that may go into a header: up to 128 visible ASCII characters, no quote or backslash."""
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def version_told(value: object) -> str | None:
    """The version id that a body tells, a JSON number as its digits; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def entity_tag(version: str) -> str:
    """`W/"version"` for If-Match and If-None-Match; a tag as the server gave it stays as it is."""
    bare = version.removeprefix("W/").removeprefix('"').removesuffix('"')
    if not is_version(bare):
        raise BadAddressError("a version id is made of visible ASCII characters; this one is not")
    return version if version.endswith('"') and version.startswith(('W/"', '"')) else f'W/"{bare}"'


def _clean(url: str) -> str:
    if _SUSPECT.search(url):
        raise BadAddressError("an address has no spaces, backslashes, control or other than ASCII characters")
    return url


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:
        raise BadAddressError("an address that can't be read") from None


def _split(url: str) -> SplitResult:
    """Parts of an absolute http(s) address without credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadAddressError("an address that can't be read") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise BadAddressError("the address of a FHIR server starts with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise BadAddressError("an address must not hold credentials; give them as a header")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]


def _unquoted(path: str) -> str:
    for _ in range(5):
        plain = unquote(path)
        if plain == path:
            break
        path = plain
    return path
