"""``python -m testkit``: fetch what integration tests run on beside servers, once and before any test's time runs.

Says what is here and what is not. Exit code 1 where something is missing that CI must have, else 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded.kafka import KafkaMissing, installed_kafka
from testkit import chains, stripe_mock
from testkit.choosing import CI_VARIABLE
from testkit.registry_programs import ProgramMissing

PROGRAMS: Mapping[str, Callable[[], Path]] = {
    "Kafka's jars": lambda: installed_kafka().jars,
    "an Ethereum node": chains.anvil_program,
    "a token's contract": chains.token_artefact,
    "a Bitcoin node": chains.btcd_program,
    "stripe-mock": stripe_mock.program,
}


def main() -> int:
    """Fetch each, whatever became of the others."""
    missing = 0
    for name, fetch in PROGRAMS.items():
        try:
            fetch()
        except (KafkaMissing, ProgramMissing) as reason:
            missing += 1
            print(f"missing: {name} ({reason}); its tests are skipped, and in CI they fail", file=sys.stderr)
        else:
            print(f"here: {name}")
    return 1 if missing and os.environ.get(CI_VARIABLE) else 0


if __name__ == "__main__":
    sys.exit(main())
