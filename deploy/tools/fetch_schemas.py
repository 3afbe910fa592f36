"""``python fetch_schemas.py``: the program and schemas that manifests are checked with, in ``.cache/manifests``.

Fetched by the ordinary clients of their registries (Go's and Maven's), each with its checksum, converted by
``strict_schemas`` and kept under a hash of this folder. Prints the folder. Copies nothing into the project.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from strict_schemas import Schema, definitions_of, schemas_of_crd, schemas_of_openapi

TOOLS = Path(__file__).resolve().parent
CACHE = TOOLS.parents[1] / ".cache" / "manifests"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform"
GENERATOR = "io.strimzi.crdgenerator.CrdGenerator"
# A class shaded into the generator is older than the one of the same name beside it, so that the order matters.
JARS = ("api.jar", "kubernetes-model-core.jar", "crd-generator.jar")
DEADLINE_S = 600


EXIT_WRONG, EXIT_NOT_TO_BE_HAD = 1, 3


class FetchError(Exception):
    """Something cannot be had, in one line."""


class WrongSource(Exception):
    """What was fetched is not what is written down, in one line."""


def main() -> int:
    """Fetch what is missing; prints the folder, which holds ``kubeconform`` and ``schemas/``."""
    folder = CACHE / fingerprint()
    try:
        if not folder.is_dir():
            fetch(folder)
    except (FetchError, WrongSource) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_NOT_TO_BE_HAD if isinstance(error, FetchError) else EXIT_WRONG
    print(folder)
    return 0


def fingerprint() -> str:
    """Of everything that decides what is fetched and how it is converted."""
    digest = hashlib.sha256()
    for path in sorted(path for path in TOOLS.iterdir() if path.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def fetch(folder: Path) -> None:
    """Fill ``folder``, whole or not at all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = tomllib.loads((TOOLS / "schemas.toml").read_text())
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".making-") as name:
        scratch = Path(name)
        run(["go", "build", "-trimpath", "-o", str(scratch / "kubeconform"), KUBECONFORM], TOOLS)
        schemas = scratch / "schemas"
        schemas.mkdir()
        for file, schema in all_schemas(sources, scratch):
            (schemas / file).write_text(json.dumps(schema, separators=(",", ":")))
        keep(scratch, folder)


def keep(scratch: Path, folder: Path) -> None:
    """In one step; another process may have been faster."""
    made = scratch / "made"
    made.mkdir()
    for name in ("kubeconform", "schemas"):
        (scratch / name).rename(made / name)
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def all_schemas(sources: Mapping[str, Any], scratch: Path) -> Iterator[tuple[str, Schema]]:
    """(file name, schema) of every kind."""
    modules = downloaded(sources["module"], scratch)
    openapi = next(module for module in sources["module"] if "openapi" in module)
    document = json.loads((modules[openapi["path"]] / openapi["openapi"]).read_text())
    yield from schemas_of_openapi(document)
    definitions = definitions_of(document)
    for crd in crds(sources, modules, scratch):
        yield from schemas_of_crd(crd, definitions)


def downloaded(modules: Sequence[Mapping[str, str]], scratch: Path) -> dict[str, Path]:
    """Module → its folder in Go's own cache. Raises WrongSource when a checksum is not the one written down."""
    wanted = [f"{module['path']}@{module['version']}" for module in modules]
    outside = scratch / "outside"
    outside.mkdir()
    answer = run(["go", "mod", "download", "-json", *wanted], outside)
    found: dict[str, Path] = {}
    decoder = json.JSONDecoder()
    while answer := answer.lstrip():
        module, end = decoder.raw_decode(answer)
        answer = answer[end:]
        expected = next(known["sum"] for known in modules if known["path"] == module["Path"])
        if module["Sum"] != expected:
            raise WrongSource(f"{module['Path']}@{module['Version']} has the checksum {module['Sum']}, not {expected}")
        found[module["Path"]] = Path(module["Dir"])
    return found


def crds(sources: Mapping[str, Any], modules: Mapping[str, Path], scratch: Path) -> Iterator[Mapping[str, Any]]:
    """Every CustomResourceDefinition: as it lies in its module, or as Strimzi's generator makes it."""
    for module in sources["module"]:
        files = sorted(modules[module["path"]].glob(module["crds"])) if "crds" in module else []
        if "crds" in module and not files:
            raise WrongSource(f"{module['path']} has no {module['crds']}")
        for path in files:
            yield yaml.safe_load(path.read_text())
    for path in strimzi_crds(sources["strimzi"], scratch):
        yield yaml.safe_load(path.read_text())


def strimzi_crds(strimzi: Mapping[str, Any], scratch: Path) -> list[Path]:
    """Made from Strimzi's own annotated classes."""
    jars, made = scratch / "jars", scratch / "strimzi"
    made.mkdir()
    pom = str(TOOLS / "strimzi.pom.xml")
    copy = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-Dmdep.stripVersion=true"]
    run(["mvn", "--quiet", "--batch-mode", "--strict-checksums", "-f", pom, *copy], scratch)
    version = strimzi["api_version"]
    options = ["--yaml", "--target-kube", "1.22+", "--crd-api-version", "v1", "--api-versions", version]
    targets = {name: made / f"{name.rpartition('.')[2]}.yaml" for name in strimzi["classes"]}
    classpath = os.pathsep.join(str(jars / jar) for jar in JARS)
    listed = [f"{name}={path}" for name, path in targets.items()]
    run(["java", "-cp", classpath, GENERATOR, *options, "--storage-version", version, *listed], scratch)
    return list(targets.values())


def run(command: Sequence[str], folder: Path) -> str:
    """What a program says. Raises FetchError with its last line."""
    if shutil.which(command[0]) is None:
        raise FetchError(f"{command[0]} is not on this machine")
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    done = subprocess.run(  # noqa: S603 - our own fixed programs
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise FetchError(f"{command[0]} ended with {done.returncode}: {lines[-1]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
