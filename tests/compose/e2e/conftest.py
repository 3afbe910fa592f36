"""docker-compose.yml, brought up for tests: its plain profile, under a project name, ports and passwords of its own.

Compose runs on this machine where it is installed, else in the image ``compose`` with the engine's socket and this
checkout at its own path. Images are never built or fetched here: what is missing is named.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from embedded.demo.clients import StackAddress
from embedded.demo.stack_at_hand import ports_of_its_own
from testkit.engine import EngineMissing, engine
from testkit.leftovers import lives

ROOT = Path(__file__).resolve().parents[3]
SOCKET = "/var/run/docker.sock"
PROJECT_PREFIX = "gridledger-test-"
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
OURS = ("payments-api", "gateway-ingest", "ledger", "deployments", "grid-simulator")
OWN_IMAGES = tuple(f"gridledger/{name}:latest" for name in (*OURS[:-1], "simulators"))
COMPOSE_IMAGE = "gridledger-ci/compose:latest"
ROLES = tuple(
    f"{service}_{kind}_PASSWORD"
    for service in ("GATEWAY_INGEST", "LEDGER", "DEPLOYMENTS", "PAYMENTS_API")
    for kind in ("OWNER", "APP")
)
COMMAND_TIMEOUT_S = 300
STOP_TIMEOUT_S = 30


class ComposeStack:
    """One project of docker-compose.yml. ``environment`` is what compose is told; everything else is its default."""

    def __init__(self, compose: Sequence[str], images: Mapping[str, str]) -> None:
        self._compose = compose
        self.project = f"{PROJECT_PREFIX}{os.getpid()}"
        self.environment = {
            **ports_of_its_own(),
            **images,
            **{variable: secrets.token_hex(12) for variable in (*ROLES, "POSTGRES_PASSWORD", "SERVICE_TOKEN")},
            "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(12)}",
        }

    @cached_property
    def address(self) -> StackAddress:
        """Where its services answer on this machine."""
        url = {name: f"http://127.0.0.1:{self.environment[f'{name}_PORT']}" for name in ("LEDGER", "PAYMENTS_API")}
        return StackAddress(
            payments_api=url["PAYMENTS_API"],
            gateway_ingest=f"http://127.0.0.1:{self.environment['GATEWAY_INGEST_PORT']}",
            ledger=url["LEDGER"],
            stripe_secret=self.environment["STRIPE_WEBHOOK_SECRET"],
            service_token=self.environment["SERVICE_TOKEN"],
        )

    def up(self) -> None:
        """Start what is not running; returns once compose has started everything in its order."""
        done = self.compose("up", "--detach", "--no-build", "--pull", "never")
        assert done.returncode == 0, f"docker compose up ended with {done.returncode}:\n{done.stderr}\n{self.log()}"

    def down(self, *options: str) -> None:
        """Remove the containers; with ``--volumes`` also what they kept."""
        done = self.compose("down", "--remove-orphans", "--timeout", str(STOP_TIMEOUT_S), *options)
        assert done.returncode == 0, done.stderr

    def log(self) -> str:
        """The last that each container said."""
        return self.compose("logs", "--no-color", "--tail", "40").stdout

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``docker compose <arguments>`` on this project."""
        return run_compose(self._compose, self.project, self.environment, *arguments)

    def container(self, service: str) -> Any:
        """The container of a service, as the engine knows it now."""
        wanted = {"label": [f"{PROJECT_LABEL}={self.project}", f"{SERVICE_LABEL}={service}"]}
        with engine() as client:
            (found,) = client.containers.list(all=True, filters=wanted)
        return found

    def execute(self, service: str, *command: str, **environment: str) -> tuple[int, str]:
        """Run a command in a service's container; answers its exit code and what it said."""
        done = self.container(service).exec_run(list(command), environment=environment)
        return done.exit_code, done.output.decode(errors="replace")


def run_compose(
    compose: Sequence[str], project: str, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """What it was told comes by the environment, also where compose runs in a container."""
    named = [part for name in environment for part in ("--env", name)] if compose[1] == "run" else []
    command = [*compose[:-1], *named, compose[-1], "--project-name", project, "--ansi", "never", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="session")
def stack() -> Iterator[ComposeStack]:
    """The plain profile, running; all tests share it, and none leaves it stopped."""
    compose, images = what_is_needed()
    sweep(compose)
    stack = ComposeStack(compose, images)
    try:
        stack.up()
        yield stack
    finally:
        stack.down("--volumes")


def what_is_needed() -> tuple[Sequence[str], Mapping[str, str]]:
    """How to run compose, and the images that are not ours. Skips where something is missing; in CI fails."""
    try:
        compose = find_compose()
        images = {
            "POSTGRES_IMAGE": chosen("TEST_POSTGRES_IMAGE", "postgres:17", "gridledger-ci/postgres:latest"),
            "KAFKA_IMAGE": chosen("TEST_KAFKA_IMAGE", "apache/kafka:4.1.1", "gridledger-ci/kafka:latest"),
        }
        missing = missing_images([*images.values(), *OWN_IMAGES])
    except EngineMissing as error:
        missing_here(str(error))
    if missing:
        missing_here(f"there is no image {', '.join(missing)} here (make images builds gridledger/…)")
    return compose, images


def chosen(variable: str, *usual: str) -> str:
    """The image that a variable names, else the first of the usual ones that is here. Raises EngineMissing."""
    named = os.environ.get(variable)
    here = [image for image in usual if not missing_images([image])]
    return named or (here or [*usual])[0]


def find_compose() -> Sequence[str]:
    """The command up to its own arguments."""
    if shutil.which("docker") is None:
        missing_here("there is no docker command here")
    installed = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
    if installed.returncode == 0:
        return ["docker", "compose"]
    if missing_images([COMPOSE_IMAGE]):
        missing_here(f"docker compose is not installed, and there is no image {COMPOSE_IMAGE} here")
    mounts = ["--volume", f"{SOCKET}:{SOCKET}", "--volume", f"{ROOT}:{ROOT}:ro", "--workdir", str(ROOT)]
    return ["docker", "run", "--rm", "--network", "none", *mounts, COMPOSE_IMAGE]


def missing_images(wanted: Sequence[str]) -> list[str]:
    """Those that are not on this machine. Raises EngineMissing."""
    with engine() as client:
        return [image for image in wanted if not is_there(client, image)]


def is_there(client: Any, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def missing_here(what: str) -> None:
    """Skip by name; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI the composition is tested")
    pytest.skip(what)


def sweep(compose: Sequence[str]) -> None:
    """Remove what killed sessions left."""
    with engine() as client:
        made = client.containers.list(all=True, filters={"label": PROJECT_LABEL}, ignore_removed=True)
    projects = {container.labels[PROJECT_LABEL] for container in made}
    for project in projects:
        session = re.fullmatch(rf"{PROJECT_PREFIX}(\d+)", project)
        if session is not None and not lives(int(session[1])):
            run_compose(compose, project, {}, "down", "--volumes", "--remove-orphans")
