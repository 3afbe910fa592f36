"""Secrets that the stack makes for itself once and keeps in its data folder, readable by its owner alone.

What the environment names wins and is not kept.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from chassis.settings import SettingsError

FILE = "secrets.json"
MAKERS: Mapping[str, Callable[[], str]] = {
    "SERVICE_TOKEN": lambda: secrets.token_urlsafe(32),
    "STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(24)}",
    "DEMO_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(24)}",
    "RAW_EVENT_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
}


def kept_secrets(data_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Every secret by its variable. Raises SettingsError when the file is damaged."""
    path = data_dir / FILE
    kept = _read(path)
    missing = {name: make() for name, make in MAKERS.items() if name not in kept}
    if missing:
        kept |= missing
        _write(path, kept)
    return {**kept, **given}


def _read(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"DATA_DIR: {path} cannot be read ({type(error).__name__})") from None
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise SettingsError(f"DATA_DIR: {path} is not what the stack wrote")
    return kept


def _write(path: Path, kept: Mapping[str, str]) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(kept, file, indent=2)
    fresh.replace(path)
