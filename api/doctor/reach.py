"""Is anybody there, who is it, does it let us in, and what time is it there."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import urlsplit

from api.doctor.asking import sized
from api.doctor.findings import Check, Finding, counted, note, ok, problem, warning
from api.sections import LOOPBACK
from fhir_adapters.client import FhirClient, may_be_the_search
from fhir_adapters.errors import (
    BadAnswerError,
    FhirServerError,
    NotFoundError,
    RefusedError,
    WrongServerError,
)
from fhir_adapters.server import ServerCapabilities, probe
from fhir_adapters.sync import CLINICAL_TYPES, NEEDED
from twin.timebase import monotonic, wall_now

TIMED = 5
SLOW_S = 2.0
CLOCK_NOTE_S, CLOCK_WARNING_S = 5.0, 60.0
CERTIFICATE_LASTS = timedelta(days=30)
DEADLINE_S = 10.0
"""A server that needs longer for a first answer is taken for one that is not there."""


@dataclass(slots=True)
class Door:
    """What the first questions gave; `types` are those of the day that the server lets us search."""

    reached: bool = True
    capabilities: ServerCapabilities = field(default_factory=ServerCapabilities)
    types: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """True where anything can be read."""
        return self.reached and bool(self.types)


async def knock(base_url: str, timeout_s: float) -> Door:
    """Ask who is there, for one resource of each type, and for the time. Never raises a FhirServerError."""
    door = Door()
    wait_s = min(timeout_s, DEADLINE_S)
    async with FhirClient(base_url, timeout_s=wait_s, deadline_s=wait_s) as client:
        if await _introduced(client, door):
            await _let_in(client, door)
        door.findings += await _tls(base_url, reached=door.reached)
        if door.open:
            door.findings += await _timed(client, door.types[0])
    return door


async def _introduced(client: FhirClient, door: Door) -> bool:
    """Who is there; False where nobody is, or somebody who can't be talked to."""
    try:
        door.capabilities = await probe(client)
    except WrongServerError as error:
        door.findings.append(problem(Check.SOFTWARE, str(error), "give the address of the R4 endpoint"))
        return False
    except FhirServerError as error:
        _unreached(door, error)
        return False
    said = door.capabilities
    if said.told:
        name = said.name or "software not told"
        told = {"fhir_version": said.fhir_version, "software": said.software, "version": said.software_version}
        door.findings.append(ok(Check.SOFTWARE, f"FHIR {said.fhir_version or 'version not told'}, {name}", **told))
    else:
        todo = "see that `metadata` below the base URL answers; what the server can do is found out by trying"
        door.findings.append(warning(Check.SOFTWARE, "no CapabilityStatement", todo))
    return True


def _unreached(door: Door, error: FhirServerError) -> None:
    door.reached = False
    todo = "check the address, the network, the proxy and that the server runs"
    door.findings.append(problem(Check.REACH, str(error), todo))


async def _let_in(client: FhirClient, door: Door) -> None:
    failed: dict[str, FhirServerError] = {}
    for name in CLINICAL_TYPES:
        try:
            (await sized(client, name, 1)).json()
        except FhirServerError as error:
            failed[name] = error
        else:
            door.types += (name,)
    door.findings += _of_types(door.types, failed)
    if not door.types and all(error.temporary for error in failed.values()):
        door.reached = False


def _of_types(offered: tuple[str, ...], failed: Mapping[str, FhirServerError]) -> list[Finding]:
    found = [_failure(name, error) for name, error in failed.items()]
    if not offered and all(isinstance(error, NotFoundError) for error in failed.values()):
        said = "the server offers no resource type of a surgical day"
        return [problem(Check.TYPES, said, "check the base URL: it ends where `/Appointment` begins")]
    if offered:
        found.append(ok(Check.TYPES, f"may be searched: {', '.join(offered)}", searched=list(offered)))
    return found


def _failure(name: str, error: FhirServerError) -> Finding:
    numbers = {"type": name, "status": error.status}
    if isinstance(error, RefusedError):
        todo = f"allow this program to read and search {name}; the sign-in that it may need is not built yet"
        make = problem if name in NEEDED else warning
        return make(Check.SIGN_IN, str(error), todo, **numbers)
    done_without = name not in NEEDED and may_be_the_search(error)
    if isinstance(error, NotFoundError) or done_without:
        return warning(Check.TYPES, f"{name} is not offered", "without it less is known of every case", **numbers)
    if isinstance(error, BadAnswerError):
        return problem(Check.REACH, str(error), "a proxy or a sign-in page may answer in its place", **numbers)
    return problem(Check.REACH, str(error), "look into the server's log", **numbers)


# Time


async def _timed(client: FhirClient, resource_type: str) -> list[Finding]:
    """How long a small search takes, and how far the server's clock is from ours."""
    took_s, ahead_s = [], []
    for _ in range(TIMED):
        started = monotonic()
        try:
            answer = await sized(client, resource_type, 1)
        except FhirServerError as error:
            return [warning(Check.LATENCY, str(error), "the server answers unreliably: look into its log")]
        took_s.append(monotonic() - started)
        if answer.server_time is not None:
            # The header has whole seconds, cut off: on average it is half a second behind.
            middle = wall_now() - timedelta(seconds=took_s[-1] / 2)
            ahead_s.append((answer.server_time - middle).total_seconds() + 0.5)
    return [_latency(took_s), _clock(ahead_s)]


def _latency(took_s: list[float]) -> Finding:
    middle, worst = median(took_s), max(took_s)
    numbers = {"median_ms": round(middle * 1000), "max_ms": round(worst * 1000), "requests": len(took_s)}
    said = f"{numbers['median_ms']} ms for a small search (at most {numbers['max_ms']} ms of {len(took_s)})"
    if middle > SLOW_S:
        return warning(Check.LATENCY, said, "poll less often (sync.poll_s) or find out what slows it", **numbers)
    return ok(Check.LATENCY, said, **numbers)


def _clock(ahead_s: list[float]) -> Finding:
    if not ahead_s:
        return note(Check.CLOCK, "no Date header", "what has no time of its own is dated by this machine's clock")
    ahead = median(ahead_s)
    numbers = {"ahead_s": round(ahead, 1)}
    said = f"the server's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    todo = "set both clocks by NTP: times derived from versions are wrong by this much"
    if abs(ahead) > CLOCK_WARNING_S:
        return warning(Check.CLOCK, said, todo, **numbers)
    if abs(ahead) > CLOCK_NOTE_S:
        return note(Check.CLOCK, said, todo, **numbers)
    return ok(Check.CLOCK, "the server's clock and this machine's agree", **numbers)


# TLS


async def _tls(base_url: str, *, reached: bool) -> list[Finding]:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        if host in LOOPBACK:
            return [note(Check.TLS, "plain HTTP on this machine")]
        return [warning(Check.TLS, "plain HTTP: data of patients travel readable", "use the server's https address")]
    fault, until = await _certificate(host, parts.port or 443)
    if not reached:
        return [problem(Check.TLS, fault, "mend the server's certificate, or its port")] if fault else []
    return [certificate_finding(until, wall_now())]


async def _certificate(host: str, port: int) -> tuple[str, datetime | None]:
    """What is wrong with a server's TLS ("" for nothing that can be told), and how long its certificate is valid."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        return f"the certificate is not trusted: {error.verify_message}", None
    except ssl.SSLError as error:
        return f"TLS fails: {error.reason or 'no reason told'}", None
    except (OSError, TimeoutError):
        return "", None
    shown = writer.get_extra_info("peercert") or {}
    writer.close()
    try:
        return "", datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown.get("notAfter"))), UTC)
    except ValueError:
        return "", None


def certificate_finding(until: datetime | None, now: datetime) -> Finding:
    """How a certificate stands that was accepted."""
    if until is None:
        return ok(Check.TLS, "encrypted, and the certificate is trusted")
    days = (until - now).days
    if until - now < CERTIFICATE_LASTS:
        said = f"the certificate ends in {counted(days, 'day')}"
        return warning(Check.TLS, said, "have it renewed: without it nothing is read", days=days)
    return ok(Check.TLS, f"encrypted, the certificate is valid for {counted(days, 'day')}", days=days)
