"""The journal: append-only, idempotent, the only thing that is kept. Twins are folds of it."""

from twin.journal.journal import Journal
from twin.journal.records import Decision, KeptOutcome, Learned, Predictions, Run
from twin.journal.schema import SchemaStatus, Upgrade

__all__ = ["Decision", "Journal", "KeptOutcome", "Learned", "Predictions", "Run", "SchemaStatus", "Upgrade"]
