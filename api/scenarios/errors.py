"""A field of a scenario that is wrong."""

from twin.errors import SettingsError

FieldPath = tuple[str | int, ...]


class FieldError(SettingsError):
    """A field of a scenario is wrong; `path` names it, `reason` says what to do."""

    def __init__(self, path: FieldPath, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{'.'.join(str(part) for part in path) or 'scenario'}: {reason}")
