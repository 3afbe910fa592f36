"""JSON Schemas of the messages: written from the models, committed, compared by a test.

A changed schema is a changed contract: within a major version only additions that an old reader can ignore.
"""

from __future__ import annotations

import json
from pathlib import Path

from contracts.messages import ALL_MESSAGES

SCHEMA_DIRECTORY = Path(__file__).resolve().parents[2] / "schemas"


def rendered_schemas() -> dict[str, str]:
    """File name → text, one per message type."""
    return {
        f"{message.TYPE}.json": json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **message.model_json_schema()},
            indent=2,
            sort_keys=True,
        )
        + "\n"
        for message in ALL_MESSAGES
    }


def write_schemas(directory: Path = SCHEMA_DIRECTORY) -> list[Path]:
    """Write every schema into ``directory``; returns the files written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in rendered_schemas().items():
        path = directory / name
        path.write_text(text)
        written.append(path)
    return written
