"""Being told: keeps our Subscriptions on the FHIR server, and takes what comes in for them.

A notification only wakes the reading. Nothing of it is read: neither its body nor the id in its path.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from api.sections import PushSettings
from fhir_adapters import subscriptions
from fhir_adapters.client import FhirClient, is_away
from fhir_adapters.errors import FhirServerError
from fhir_adapters.subscriptions import Hook, State
from fhir_adapters.sync import CLINICAL_TYPES
from twin.timebase import monotonic, wall_now

PATH = "/push"
BY_HAND = "hook"
"""Last part of the path for Subscriptions that an administrator makes."""
MISSED = 3
"""Readings in a row that found changes of a type without a notification of it (guess)."""
PATIENCE_S = 60.0
"""How late a notification may be: HAPI's are seen to come within half a minute."""
SOON_S = 2.0
"""Until a look at a Subscription that is not active yet."""
LONGEST_WAIT_S = 3600.0
REMOVE_WITHIN_S = 2.0
_TOKEN_BYTES = 24

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    """One type, its Subscription, and how that is doing."""

    resource_type: str
    ref: str | None = None
    until: datetime | None = None
    state: State = "missing"
    trouble: str | None = None
    made: int = 0
    """How often it was made since its last notification."""
    not_before: float = 0.0
    unannounced: int = 0
    """Readings that found changes since the last notification."""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Key:
    name: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    watched: _Watched | None


class Push:
    """The Subscriptions of one installation. One event loop calls it."""

    def __init__(
        self, client: FhirClient, settings: PushSettings, source: str, *, now: Callable[[], float] = monotonic
    ) -> None:
        """`now`: seconds of a clock that never goes back."""
        self.woken = asyncio.Event()
        """Set when there may be something to read."""
        self._client = client
        self._now = now
        self._settings = settings
        self._source = source
        self._swept = False
        self._replaced: set[str] = set()
        self._keys: dict[str, _Key] = {}
        types = CLINICAL_TYPES if settings.callback_url else ()
        self._watched = [_Watched(name) for name in types]
        if settings.secret is not None:
            self._keys[BY_HAND] = _Key(BY_HAND.encode(), settings.secret.get_secret_value().encode(), None)

    @property
    def wanted(self) -> bool:
        """True where Subscriptions are to be kept."""
        return bool(self._watched)

    @property
    def state(self) -> str:
        """off, by hand, starting, active, or what is wrong."""
        if not self._watched:
            return "by hand" if self._keys else "off"
        if troubles := sorted({watched.trouble for watched in self._watched if watched.trouble}):
            return "; ".join([*troubles, "polling goes on"])
        return "active" if all(watched.state == "active" for watched in self._watched) else "starting"

    @property
    def pause_s(self) -> float:
        """Until the next `keep`."""
        young = any(watched.state == "requested" and watched.made <= 1 for watched in self._watched)
        return min(SOON_S, self._settings.watch_s) if young else self._settings.watch_s

    # --- what comes in ------------------------------------------------------------------------------------------------

    def take(self, name: str, secret: str) -> bool:
        """A notification came. False, without effect, where no Subscription of ours has this name and secret."""
        given, brought = _bytes(name), _bytes(secret)
        for key in self._keys.values():
            if hmac.compare_digest(key.name, given) and hmac.compare_digest(key.secret, brought):
                if key.watched is not None:
                    key.watched.made = key.watched.unannounced = 0
                self.woken.set()
                return True
        return False

    def found(self, types: Iterable[str]) -> None:
        """A reading found changes of these types: a notification of each was due, or is."""
        for watched in self._watched:
            if watched.state == "active" and watched.resource_type in types:
                watched.since = watched.since if watched.unannounced else self._now()
                watched.unannounced += 1

    # --- Subscriptions ------------------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Make what is missing, failed, about to end or silent. Raises FhirServerError where the server is away."""
        try:
            if not self._swept:
                await subscriptions.remove(self._client, await subscriptions.find_ours(self._client, self._source))
                self._swept = True
        except FhirServerError as error:
            if is_away(error):
                raise
            for watched in self._watched:
                self._refused(watched, error)
            return
        for watched in self._watched:
            await self._keep(watched)
        await self._remove_replaced()

    async def remove(self) -> None:
        """Take them off the server, at a clean end; what can't be reached stays until the next start."""
        refs = [*self._replaced, *(watched.ref for watched in self._watched if watched.ref)]
        try:
            async with asyncio.timeout(REMOVE_WITHIN_S):
                await asyncio.gather(*(subscriptions.remove(self._client, [ref]) for ref in refs))
        except (FhirServerError, TimeoutError):
            _log.warning("Subscriptions stay on the server: the next start or `jumeau push --remove` removes them")

    async def _keep(self, watched: _Watched) -> None:
        reason = await self._look(watched)
        if reason is None:
            watched.trouble = None
            return
        if self._now() < watched.not_before:
            watched.trouble = watched.trouble or f"{watched.resource_type}: {reason}"
            return
        if watched.ref:
            _log.warning("a Subscription is made again", type=watched.resource_type, reason=reason)
        await self._make(watched)

    async def _look(self, watched: _Watched) -> str | None:
        """Why it has to be made, None where it is well."""
        if watched.ref is None or watched.until is None:
            return "there is no Subscription"
        before, watched.state = watched.state, await self._state(watched.ref)
        if watched.state == "active" and before != "active":
            self.woken.set()  # what changed before it was active is told by nobody
        if watched.state not in ("active", "requested"):
            return f"its Subscription is {watched.state}"
        if watched.unannounced >= MISSED and self._now() - watched.since > PATIENCE_S:
            return "changes came without a notification"
        left_s = (watched.until - wall_now()).total_seconds()
        return "it is about to end" if left_s < self._settings.valid_s / 3 else None

    async def _state(self, ref: str) -> State:
        try:
            return await subscriptions.state_of(self._client, ref)
        except FhirServerError as error:
            if is_away(error):
                raise
            return "active"  # it may not be looked at: its notifications tell how it is

    async def _make(self, watched: _Watched) -> None:
        """A new one with a secret of its own, then the old one goes: nothing is missed between."""
        name, secret = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(_TOKEN_BYTES)
        hook = Hook(f"{self._settings.callback_url}{PATH}/{name}", secret)
        until = wall_now() + timedelta(seconds=self._settings.valid_s)
        old = watched.ref
        watched.not_before = self._now() + min(self._settings.watch_s * 2.0**watched.made, LONGEST_WAIT_S)
        self._keys[name] = _Key(name.encode(), secret.encode(), watched)  # a server may knock before it answers
        try:
            watched.ref = await subscriptions.create(
                self._client, watched.resource_type, hook, source=self._source, until=until
            )
        except FhirServerError as error:
            del self._keys[name]
            if is_away(error):
                raise
            self._refused(watched, error)
            return
        watched.until, watched.state, watched.trouble = until, "requested", None
        watched.made, watched.unannounced = min(watched.made + 1, 20), 0
        self.woken.set()
        # The newest two: what the old one has under way is still welcome.
        for other in [one for one, key in self._keys.items() if key.watched is watched][:-2]:
            del self._keys[other]
        if old:
            self._replaced.add(old)

    async def _remove_replaced(self) -> None:
        for ref in sorted(self._replaced):
            try:
                await subscriptions.remove(self._client, [ref])
            except FhirServerError as error:
                if is_away(error):
                    raise
                _log.warning("an old Subscription can't be removed", reason=str(error))
            self._replaced.discard(ref)

    def _refused(self, watched: _Watched, error: FhirServerError) -> None:
        """Said once; asked again much later, since it is a person who has to change something."""
        watched.not_before = self._now() + LONGEST_WAIT_S
        if watched.trouble is None:
            _log.warning("the server does not take a Subscription", type=watched.resource_type, reason=str(error))
        watched.trouble = str(error)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
