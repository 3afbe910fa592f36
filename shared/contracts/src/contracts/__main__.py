"""``python -m contracts``: write the JSON Schemas of all messages."""

from __future__ import annotations

import sys

from contracts.schemas import write_schemas


def main() -> int:
    for path in write_schemas():
        print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
