"""Copies the certificates of one bundle that another does not hold: added_authorities.py BUNDLE KNOWN FOLDER.

Each goes into a file of its own, as update-ca-certificates wants them. Reads PEM only, checks no certificate.
"""

import re
import sys
from pathlib import Path

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def certificates(bundle: Path) -> dict[str, str]:
    """Content without white space → the certificate as it stands."""
    return {"".join(text.split()): text for text in CERTIFICATE.findall(bundle.read_text(encoding="utf-8"))}


def main(bundle: Path, known: Path, folder: Path) -> None:
    """Write what is new."""
    held = certificates(known)
    added = [text for content, text in certificates(bundle).items() if content not in held]
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(added, start=1):
        (folder / f"machine-{number:03d}.crt").write_text(f"{text}\n", encoding="ascii")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
