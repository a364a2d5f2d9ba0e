"""A stranger over HTTP on 127.0.0.1."""

import gzip
import time
import uuid
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.strangers import patches, text
from tests.strangers.listening import Listening
from tests.strangers.store import Json, Store, Version
from tests.strangers.traits import Traits

KNOWN = frozenset(
    {
        *("_id", "_count", "_sort", "_lastUpdated", "_format", "_summary", "_elements"),
        *("date", "status", "patient", "subject", "code", "identifier"),
    }
)
TYPES = frozenset(
    {
        "Appointment",
        "Encounter",
        "Procedure",
        "Location",
        "Patient",
        "ServiceRequest",
        "Schedule",
        "Slot",
        "Practitioner",
        "Observation",
        "RiskAssessment",
    }
)
OWN_URLS = ("http://hl7.org/", "http://his")
_FHIR = "application/fhir+json;charset=utf-8"


class Stranger:
    """One server with its traits. A context manager; `requests` are (method, path) as they came."""

    def __init__(self, traits: Traits | None = None, *resources: Json) -> None:
        self.traits = traits or Traits()
        self.store = Store(self.traits)
        self.requests: list[tuple[str, str]] = []
        self.lock = Lock()
        self.tokens: dict[str, tuple[str, list[tuple[str, str]], int]] = {}
        self.left = {"busy": self.traits.busy, "drops": self.traits.drops}
        self.port = 0
        for resource in resources:
            self.put(resource)

    @property
    def url(self) -> str:
        """FHIR base."""
        return f"http://127.0.0.1:{self.port}{self.traits.base}"

    @property
    def told_url(self) -> str:
        """FHIR base as its own links name it."""
        return f"{self.traits.public}{self.traits.base}" if self.traits.public else self.url

    def put(self, resource: Json | str) -> None:
        """The hospital writes; a string is taken as the text of the resource, its number literals kept."""
        with self.lock:
            self.store.put(text.loads(resource if isinstance(resource, str) else text.dumps(resource)))

    def edit(self, ref: str, **members: Any) -> None:
        """The hospital changes some members of a resource."""
        with self.lock:
            newest = self.store.newest(ref)
            assert newest is not None
            assert newest.resource is not None
            self.store.put({**newest.resource, **text.loads(text.dumps(members))})

    def delete(self, ref: str) -> None:
        """The hospital deletes."""
        with self.lock:
            self.store.delete(ref)

    def restore(self, at: datetime) -> None:
        """A backup of that instant comes back: what was written since was never there."""
        with self.lock:
            self.store.restore(at)

    def becomes(self, **traits: Any) -> None:
        """From now on it is otherwise."""
        self.traits = replace(self.traits, **traits)
        self.store.traits = self.traits

    def writes(self) -> int:
        """How many writes came over HTTP."""
        return sum(method != "GET" for method, _ in self.requests)

    def start(self) -> None:
        """Listen, on the port of before where there was one."""
        self._http = Listening(("127.0.0.1", self.port), _Handler)
        self._http.stranger = self
        self.port = int(self._http.server_address[1])
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be away, with all connections."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._http.hang_up()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    server: Listening
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are sent apart: without it each answer waits for 40 ms

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by this server's clock."""
        return super().date_time_string((timestamp or time.time()) + self.server.stranger.traits.skew_s)

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_PUT(self) -> None:
        self._answer(self._write)

    do_PATCH = do_POST = do_DELETE = do_PUT  # noqa: N815

    # What comes before every answer

    def _answer(self, work: Any) -> None:
        self.it = self.server.stranger
        self.traits = self.it.traits
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.way = parts.path.removeprefix(self.traits.base).removeprefix("/moved").strip("/").split("/")
        self.params = parse_qsl(parts.query)
        time.sleep(self.traits.slow_s)
        with self.it.lock:
            self.it.requests.append((self.command, parts.path.removeprefix(self.traits.base)))
            if not self._unwilling(parts.path):
                work()

    def _unwilling(self, path: str) -> bool:
        traits = self.traits
        refused = traits.refuses or (traits.refuses_writes if self.command != "GET" else 0)
        if self.it.left["busy"] > 0 and self._is_ours():
            self.it.left["busy"] -= 1
            self._outcome(traits.busy_status, "busy", {"Retry-After": traits.retry_after} if traits.retry_after else {})
        elif refused:
            self._outcome(refused, "no")
        elif traits.html:
            self._send(200, b"<html><body>Please sign in</body></html>", {"Content-Type": "text/html"})
        elif traits.redirects:
            self._send(302, b"", {"Location": f"http://127.0.0.1:{self.it.port}/elsewhere{path}"})
        elif traits.moves and self._is_ours("GET") and not path.startswith(f"{traits.base}/moved"):
            moved = self.path.replace(traits.base, f"{traits.base}/moved", 1)
            self._send(traits.moves, b"", {"Location": moved})
        elif not path.startswith(traits.base):
            self._outcome(404, "not here")
        elif "/".join(self.way) in self.traits.hidden:
            self._outcome(403, "not for you")
        else:
            return False
        return True

    def _is_ours(self, method: str = "") -> bool:
        """Whether a request is the program's; what the tests read themselves is answered plainly."""
        return self.headers.get("User-Agent") == "jumeau" and method in ("", self.command)

    # Reading

    def _read(self) -> None:
        match self.way:
            case ["metadata"]:
                version = self.traits.fhir_version
                self._json(200, {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": version})
            case [""] | ["_page", _]:
                self._next_page()
            case [kind] if kind in TYPES - self.traits.lacks_types:
                self._search(kind, self.params, 0)
            case [kind, "_history"] if kind in TYPES - self.traits.lacks_types:
                self._type_history(kind, dict(self.params).get("_since", "1970-01-01T00:00:00Z"))
            case [kind, *_] if kind in self.traits.lacks_types:
                self._outcome(self.traits.lacks_status, "unknown resource type")
            case [kind, one]:
                self._one(f"{kind}/{one}")
            case [kind, one, "_history"]:
                self._history(f"{kind}/{one}")
            case _:
                self._outcome(404, "not found")

    def _one(self, ref: str) -> None:
        version = self.it.store.newest(ref)
        if version is None:
            self._outcome(404, "not found")
        elif version.resource is None:
            self._outcome(self.traits.deleted, "gone")
        else:
            self._json(200, version.resource, self._tags(version))

    def _history(self, ref: str) -> None:
        if not self.traits.history or ref not in self.it.store.held:
            self._outcome(404, "no history")
            return
        if "_since" in dict(self.params) and self.traits.history_since != 200:
            self._outcome(self.traits.history_since, "unknown parameter _since")
            return
        versions = [version for version in self.it.store.held[ref] if version.resource is not None]
        entries = [{"resource": version.resource} for version in versions]
        entries = entries if self.traits.history_order == "oldest" else entries[::-1]
        self._json(200, {"resourceType": "Bundle", "type": "history", "entry": entries})

    def _type_history(self, kind: str, told: str) -> None:
        since = datetime.fromisoformat(told)
        if self.traits.type_history == "none":
            self._outcome(404, "no history")
            return
        found = [
            (version.at, ref, number, version)
            for ref, versions in self.it.store.held.items()
            for number, version in enumerate(versions, start=1)
            if ref.startswith(f"{kind}/") and version.at >= since
        ]
        entries = [
            self._past(ref, number, version) for _, ref, number, version in sorted(found, key=lambda one: one[:3])
        ]
        self._json(200, {"resourceType": "Bundle", "type": "history", "entry": entries[::-1]})

    def _past(self, ref: str, number: int, version: Version) -> Json:
        if version.resource is not None:
            return {"resource": version.resource, "request": {"method": "POST", "url": ref}}
        if self.traits.type_history == "hapi":
            return {"request": {"method": "DELETE", "url": f"{ref}/_history/{number}"}}
        told = {"status": "204", "lastModified": self.it.store.stamp(version.at)}
        return {"request": {"method": "DELETE", "url": ref}, "response": told}

    def _search(self, kind: str, params: list[tuple[str, str]], offset: int) -> None:
        known = KNOWN - self.traits.lacks
        unknown = [name for name, _ in params if name not in known and not name.startswith("_offset")]
        if unknown and self.traits.unknown_params:
            self._outcome(self.traits.unknown_params, f"unknown parameter {unknown[0]}")
            return
        used = [(name, value) for name, value in params if name in known]
        shown = self.it.store.search(kind, used)
        found = [one for one in shown if f"{kind}/{one['id']}" not in self.traits.hidden]
        offset = int(dict(params).get("_offset", offset))
        asked = next((int(value) for name, value in used if name == "_count"), 20)
        size = min(asked, self.traits.page)
        entries = [self._entry(resource) for resource in found[offset : offset + size]]
        if kind == "Appointment" and offset == 0:
            entries[1:1] = [{"resource": bad, "search": {"mode": "match"}} for bad in self.traits.bad]
        if self.traits.outcome_entry:
            outcome = {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "information", "code": "informational"}],
            }
            entries.append({"resource": outcome, "search": {"mode": "outcome"}})
        bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset"}
        if self.traits.tells_time:
            bundle["meta"] = {"lastUpdated": self.it.store.stamp(self.it.store.now())}
        if self.traits.tells_total:
            bundle["total"] = text.Number(str(len(found)))
        bundle["link"] = [{"relation": "self", "url": f"{self.it.told_url}/{kind}?{urlencode(used)}"}]
        if offset + size < len(found):
            bundle["link"].append({"relation": "next", "url": self._next(kind, params, offset + size)})
        elif self.traits.loops:
            bundle["link"].append({"relation": "next", "url": f"http://127.0.0.1:{self.it.port}{self.path}"})
        if self.traits.includes:
            people = self.it.store.search("Patient", [])
            entries += [{"resource": person, "search": {"mode": "include"}} for person in people]
        self._json(200, {**bundle, "entry": entries} if entries else bundle)

    def _entry(self, resource: Json) -> Json:
        if self.traits.subsets:
            tagged = {**resource["meta"], "tag": [{"code": "SUBSETTED"}]}
            resource = {name: resource[name] for name in ("resourceType", "id")} | {"meta": tagged, "status": "booked"}
        entry: Json = {"resource": resource, "search": {"mode": "match"}}
        if self.traits.full_urls:
            entry = {"fullUrl": f"{self.it.told_url}/{resource['resourceType']}/{resource['id']}", **entry}
        return entry

    def _next(self, kind: str, params: list[tuple[str, str]], offset: int) -> str:
        if self.traits.paging == "offset":
            kept = [(name, value) for name, value in params if name != "_offset"]
            told = f"{self.traits.astray}{self.traits.base}" if self.traits.astray else self.it.told_url
            return f"{told}/{kind}?{urlencode([*kept, ('_offset', str(offset))])}"
        token = str(uuid.uuid4())
        self.it.tokens[token] = (kind, params, offset)
        if self.traits.paging == "path":
            return f"{self.it.told_url}/_page/{token}"
        query = urlencode([("_getpages", token), ("_getpagesoffset", str(offset)), ("_bundletype", "searchset")])
        return f"{self.traits.base if self.traits.paging == 'relative' else self.it.told_url}?{query}"

    def _next_page(self) -> None:
        told = dict(self.params).get("_getpages") or self.way[-1]
        known = self.it.tokens.get(told)
        if known is None:
            self._outcome(410, "the page has expired")
        else:
            self._search(*known)

    # Writing

    def _write(self) -> None:
        if len(self.way) != 2 or self.command == "POST":
            self._outcome(405, "not offered")
            return
        ref = "/".join(self.way)
        version = self.it.store.newest(ref)
        tag = self.headers.get("If-Match", "").removeprefix("W/").strip('"')
        if self.command == "PATCH" and (self.traits.patch != 200 or version is None or version.resource is None):
            self._outcome(self.traits.patch if version else 404, self.traits.patch_says)
        elif version and tag and tag != version.version_id and self.traits.stale:
            self._outcome(self.traits.stale, "another version is there")
        elif self.command == "DELETE":
            self._tell(self.it.store.delete(ref), 204)
        else:
            self._store(version)

    def _store(self, version: Version | None) -> None:
        told = text.loads(self.body)
        if self.command == "PATCH" and version is not None:
            told = patches.applied(version.resource, told)
            if told is None:
                self._outcome(self.traits.failed_test, "a test of the patch failed")
                return
            told = text.doubles(told) if self.traits.doubles else told
        unknown = [one["url"] for one in told.get("extension", ()) if not one["url"].startswith(OWN_URLS)]
        if unknown and self.traits.rejects:
            self._outcome(422, f"Unknown extension {unknown[0]}")
            return
        if unknown and self.traits.strips:
            told = {**told, "extension": [one for one in told["extension"] if one["url"] not in unknown]}
            told = told if told["extension"] else {name: one for name, one in told.items() if name != "extension"}
        self._tell(self.it.store.put(told), 201 if version is None or version.resource is None else 200)

    def _tell(self, version: Version, status: int) -> None:
        if self.it.left["drops"] > 0:
            self.it.left["drops"] -= 1
            self.close_connection = True
            self.connection.close()
            return
        patched = self.command == "PATCH"
        tags = self._tags(version) if self.traits.patch_answers_etag or not patched else {}
        whole = self.traits.patch_answers_body if patched else self.traits.put_answers_body
        if version.resource is None or not whole:
            self._send(status, b"", tags)
        else:
            self._json(status, version.resource, tags)

    # Sending

    def _tags(self, version: Version) -> dict[str, str]:
        told = version.version_id + self.traits.etag_suffix
        forms = {"weak": f'W/"{told}"', "strong": f'"{told}"'}
        return {"ETag": forms[self.traits.etag]} if self.traits.etag in forms else {}

    def _outcome(self, status: int, said: str, headers: dict[str, str] | None = None) -> None:
        issue = {"severity": "error", "code": "processing", "diagnostics": said}
        self._json(status, {"resourceType": "OperationOutcome", "issue": [issue]}, headers)

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, text.dumps(value).encode(), {"Content-Type": _FHIR, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        zipped = self.traits.gzips and body and "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body) if zipped else body
        if self.traits.tells_date:
            self.send_response(status)
        else:
            self.send_response_only(status)
        for name, value in {**headers, **({"Content-Encoding": "gzip"} if zipped else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
