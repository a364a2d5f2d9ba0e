"""Logs on stderr, key=value, without data of a patient. stdout belongs to results."""

import logging
import sys
from typing import TextIO, cast

import structlog


class _Stderr:
    """stderr as it is when something is said: whoever replaces it gets the log, and is not written to once closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(level: str) -> None:
    """Set up structlog; libraries that log requests and their contents stay silent below warnings."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )
    logging.basicConfig(stream=sys.stderr, level=max(numeric, logging.WARNING))
