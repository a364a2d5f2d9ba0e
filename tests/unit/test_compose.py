"""What a process must find again of the one before it."""

import os
import subprocess
import sys

CODE = """
from api.compose import _reading
from fhir_adapters.normalise import default_mapping
print(_reading(default_mapping()))
"""


def reading(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_reading_is_that_of_every_process() -> None:
    assert len({reading(seed) for seed in ("0", "1", "2")}) == 1
