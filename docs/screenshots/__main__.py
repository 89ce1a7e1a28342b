"""Write the pictures of every module in MODULES:   python -m docs.screenshots [DIRECTORY] [NAME ...]

A module has `pictures(browser)`, which yields names (without .png) and contents of files.
"""

from __future__ import annotations

import sys
from pathlib import Path

from helpers.browser import chromium

from . import live, report

MODULES = (report, live)
DIRECTORY = Path(__file__).parents[1] / "pictures"


def main(directory: Path, wanted: set[str]) -> None:
    """Write the pictures of the modules named in `wanted`, or of all."""
    directory.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        if wanted and module.__name__.rpartition(".")[2] not in wanted:
            continue
        with chromium() as browser:
            for name, png in module.pictures(browser):
                file = directory / f"{name}.png"
                file.write_bytes(png)
                print(f"{file}  ({len(png):,} bytes)")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else DIRECTORY, set(sys.argv[2:]))
