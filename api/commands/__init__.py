"""Groups of commands, one file each; `api.cli` puts them together."""
