"""The Docker engine of this machine: whether one answers, whether an image can be had, and what killed sessions left.

Everything that a session makes there carries its label; what carries that of a session that is gone is removed.
Imported only where an integration test asks for a container: unit tests never come near an engine.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import get_docker_host

from testkit.leftovers import lives

# Its image cannot be had everywhere; we end what we start ourselves, and sweep after those who could not.
testcontainers_config.ryuk_disabled = True

SESSION_LABEL = "gridledger.test-session"
UNIX = "unix://"
LOCAL_ENGINE = f"{UNIX}/var/run/docker.sock"
ENGINE_TIMEOUT_S = 60
PULL_SILENCE_MAX_S = 15
PULL_MAX_S = 180.0


class EngineMissing(Exception):
    """No engine answers, or an image cannot be had; the text is one line that says which."""


@cache
def require_image(image: str) -> None:
    """Make sure that the image is on this machine, pulling it where that is possible. Raises EngineMissing."""
    with engine(PULL_SILENCE_MAX_S) as client:
        try:
            client.images.get(image)
        except ImageNotFound:
            _pull(client, image)


@contextmanager
def engine(timeout_s: int = ENGINE_TIMEOUT_S) -> Iterator[Any]:
    """A client of the engine, for calls that each answer within ``timeout_s``. Raises EngineMissing."""
    address = get_docker_host() or LOCAL_ENGINE
    _require_answer(address)
    try:
        client = docker.DockerClient(base_url=address, timeout=timeout_s)
    except DockerException as error:
        raise EngineMissing(f"no Docker engine answers ({_one_line(error)})") from None
    try:
        yield client
    finally:
        client.close()


def _require_answer(address: str) -> None:
    """Knock before docker's own client does, which leaves its socket open where nobody answers."""
    if not address.startswith(UNIX):
        raise EngineMissing(f"the Docker engine at {address} is not on this machine, where its ports are needed")
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(PULL_SILENCE_MAX_S)
        try:
            knocking.connect(address.removeprefix(UNIX))
        except OSError as error:
            raise EngineMissing(f"no Docker engine answers at {address} ({error.strerror})") from None


def session_labels() -> Mapping[str, str]:
    """What to label with that this session makes in the engine."""
    return {SESSION_LABEL: f"{socket.gethostname()}:{os.getpid()}"}


@cache
def sweep() -> None:
    """Remove containers and networks of sessions of this machine that ended without doing so. Once a session."""
    with engine() as client:
        wanted = {"label": SESSION_LABEL}
        for container in client.containers.list(all=True, filters=wanted, ignore_removed=True):
            if _is_left_over(container.labels[SESSION_LABEL]):
                _remove(lambda container=container: container.remove(force=True, v=True))
        for network in client.networks.list(filters=wanted):
            if _is_left_over(network.attrs["Labels"][SESSION_LABEL]):
                _remove(network.remove)


def _is_left_over(label: str) -> bool:
    host, _, pid = label.rpartition(":")
    return host == socket.gethostname() and not lives(int(pid))


def _remove(remove: Any) -> None:
    try:
        remove()
    except NotFound:
        # Another session swept at the same time.
        return


def _pull(client: Any, image: str) -> None:
    """Pull for as long as the engine says that it gets on, within limits."""
    deadline = time.monotonic() + PULL_MAX_S
    try:
        for progress in client.api.pull(image, stream=True, decode=True):
            if "error" in progress:
                raise EngineMissing(f"the image {image} cannot be had ({progress['error']})")
            if time.monotonic() > deadline:
                raise EngineMissing(f"the image {image} was not there after {PULL_MAX_S:.0f} s of pulling")
    except (DockerException, OSError) as error:
        raise EngineMissing(f"the image {image} is not here and cannot be pulled ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error).splitlines()[0]
