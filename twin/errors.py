"""What can go wrong in the domain.

    TwinError
    ├── SettingsError        an option has a value that makes no sense
    ├── JournalError
    │   ├── WrongKeyError    the journal was written under another pseudonym key
    │   ├── SchemaTooNewError
    │   └── SchemaTooOldError
    └── SimulationError      a run was killed, hung or gave nothing

Messages say what to do and never carry data of a patient.
"""


class TwinError(Exception):
    """Root of the domain's errors."""


class SettingsError(TwinError):
    """An option has a value that makes no sense; the message names it."""


class JournalError(TwinError):
    """The journal can't be opened, read or appended to."""


class WrongKeyError(JournalError):
    """The journal was written under another pseudonym key than the one given."""


class SchemaTooNewError(JournalError):
    """The journal was written by a newer version of this program."""


class SchemaTooOldError(JournalError):
    """The journal must be upgraded before this version uses it."""


class SimulationError(TwinError):
    """A simulation was killed, hung or gave no result; the last prediction stands."""
