"""Refuse docstrings that begin with a fragment: the first words must say what the thing is or does.

    python .ci/docstrings.py wsbench

A function's docstring begins with a verb in the imperative, a class's or module's with a noun phrase or a sentence.
"What is sent…", "Whoever waits…" or "As above" make the reader search for the subject. Prints each docstring that
begins like that; exit code 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FRAGMENT = re.compile(
    r"(What|Who|Whose|Whoever|Whatever|Which|Where|Those|That|So|As|By|Of|With|Behind|Nobody|Somebody|See"
    r"|How (far|many|much|late|long|often))\b"
)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring of a file, those after constants and attributes included."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text.strip()


def main(*folders: str) -> int:
    """Print the docstrings in `folders` that begin with a fragment; return the exit code."""
    refused = [
        f"{path}:{line}: {text.splitlines()[0]}"
        for folder in folders
        for path in sorted(Path(folder).rglob("*.py"))
        for line, text in docstrings(path)
        if FRAGMENT.match(text)
    ]
    print("\n".join(refused) or "no docstring begins with a fragment")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
