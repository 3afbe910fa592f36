"""Secrets of one data folder: taken from the environment where given, else made once and kept in a file (0600).

What the environment gives is used and never stored. Roles' passwords are always our own.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chassis.settings import SettingsError

FILE_NAME = "secrets.json"

MAKERS: Mapping[str, Callable[[], str]] = {
    "SERVICE_TOKEN": lambda: secrets.token_urlsafe(32),
    "STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_urlsafe(24)}",
    "CLICKPESA_WEBHOOK_SECRET": lambda: f"CHK{secrets.token_urlsafe(24)}",
    "ADMIN_TOKEN": lambda: secrets.token_urlsafe(32),
    "DEMO_WEBHOOK_SECRET": lambda: secrets.token_urlsafe(32),
    "RAW_EVENT_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
}
"""Environment variable → how a fresh value is made."""


@dataclass(frozen=True, slots=True)
class KeptSecrets:
    """``variables`` go to the services, ``passwords`` (role → password) to the database."""

    variables: Mapping[str, str] = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)


def keep_secrets(data_dir: Path, environment: Mapping[str, str], roles: Sequence[str]) -> KeptSecrets:
    """The secrets of ``data_dir``; makes and stores those that are neither given nor kept. Raises SettingsError."""
    path = data_dir / FILE_NAME
    kept = _read(path)
    variables = {name: kept.get(name) or make() for name, make in MAKERS.items() if not environment.get(name)}
    passwords = {role: kept.get(f"password:{role}") or secrets.token_urlsafe(24) for role in roles}
    wanted = {**kept, **variables, **{f"password:{role}": password for role, password in passwords.items()}}
    if wanted != kept:
        write_private(path, json.dumps(wanted, indent=2))
    given = {name: environment[name] for name in MAKERS if environment.get(name)}
    return KeptSecrets({**variables, **given}, passwords)


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step; nobody but its owner can ever read it. Raises SettingsError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        scratch.replace(path)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from error


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise SettingsError(f"{path} is not a file of ours: it must hold one JSON object of strings")
    return content
