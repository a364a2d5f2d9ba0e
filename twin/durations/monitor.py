"""Watches the duration model on finished cases: bands that keep their coverage, and a bell when they drift.

Adaptive conformal inference (Gibbs and Candès 2021), one stream a service: alpha moves by gamma·(target - missed) and
is clipped to [.01, .5]; the multiplier on s is Φ⁻¹(1 - alpha/2)/Φ⁻¹(1 - target/2), clipped to [.7, 1.5].
CUSUM (Page 1954) of z = Φ⁻¹(PIT) clipped to ±3, k = .5, h = 7, both ways: it opens a review and starts again; it never
changes anything by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from scipy import special

TARGET = 0.2
"""Share of cases outside the P10 to P90 band."""
GAMMA = 0.02
_ALPHA = (0.01, 0.5)
_MULTIPLIER = (0.7, 1.5)
_K, _H, _CLIP = 0.5, 7.0, 3.0


@dataclass(frozen=True, slots=True)
class Review:
    """A service whose cases have become longer or shorter than predicted: somebody should look."""

    service: str
    direction: Literal["longer", "shorter"]
    cases: int
    """Finished cases of the service when the bell rang."""
    case_id: str
    """The case that rang it."""
    at: datetime | None = None
    """When that case ended, where that is known."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is remembered of one service."""

    n: int = 0
    alpha: float = TARGET
    up: float = 0.0
    down: float = 0.0

    @property
    def multiplier(self) -> float:
        """On s, for bands and simulation alike."""
        ratio = special.ndtri(1 - self.alpha / 2) / special.ndtri(1 - TARGET / 2)
        return float(min(max(ratio, _MULTIPLIER[0]), _MULTIPLIER[1]))


@dataclass(frozen=True, slots=True)
class Monitor:
    """A fold of finished cases in the order in which they finished; an immutable value."""

    streams: Mapping[str, Stream] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()

    def multiplier(self, service: str) -> float:
        """What s of a service is multiplied by; 1 for one never seen."""
        stream = self.streams.get(service)
        return 1.0 if stream is None else stream.multiplier

    def after(self, service: str, pit: float, case_id: str = "", *, at: datetime | None = None) -> "Monitor":
        """One finished case more; `pit` is F(actual) of the band that was published, its multiplier included."""
        stream = self.streams.get(service, Stream())
        z = float(min(max(special.ndtri(pit), -_CLIP), _CLIP))
        missed = not TARGET / 2 <= pit <= 1 - TARGET / 2
        alpha = min(max(stream.alpha + GAMMA * (TARGET - missed), _ALPHA[0]), _ALPHA[1])
        up, down = max(stream.up + z - _K, 0.0), max(stream.down - z - _K, 0.0)
        rang: Literal["longer", "shorter"] | None = "longer" if up > _H else "shorter" if down > _H else None
        if rang:
            up = down = 0.0
        streams = {**self.streams, service: Stream(stream.n + 1, alpha, up, down)}
        opened = (Review(service, rang, stream.n + 1, case_id, at),) if rang else ()
        return replace(self, streams=streams, reviews=self.reviews + opened)
