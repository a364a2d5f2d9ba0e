"""The model that a file taught: where the live model starts before its first case."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from twin.durations.model import DurationModel
from twin.durations.portable import model_of
from twin.errors import SettingsError
from twin.site import DurationOptions


@dataclass(frozen=True, slots=True)
class Start:
    """Room time as a file told it. `digest` names the file's content: the same digest, the same model."""

    model: DurationModel
    digest: str

    def name(self, level: str, key: str | None, others: Iterable[str]) -> str | None:
        """What the file calls a procedure, surgeon or specialty: `key` or another of its names; `key` where none is."""
        known = (other for other in (key, *others) if other and (level, other) in self.model.tallies)
        return next(known, key)


def start_of(text: bytes, options: DurationOptions) -> Start:
    """The model of a file that `jumeau durations learn` wrote, under the options of this site.

    What a file's gaps told is left out: live, what is unknown of a patient moves nothing. Raises SettingsError.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError("no JSON: give a file written by `jumeau durations learn`") from None
    model = model_of(values)
    if model.options.booked_interval is not options.booked_interval:
        raise SettingsError(
            f"its booked times are {model.options.booked_interval.value}, those of this site "
            f"{options.booked_interval.value} (site.booked_interval): learn it again under this setting"
        )
    digest = hashlib.blake2b(text, digest_size=16).hexdigest()
    return Start(replace(model, options=options, regressors=model.regressors.without_gaps()), digest)
