"""The house is as its plan says: the documents name the packages there are, and a name stands for one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "wsbench"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "node_modules" not in path.parts)
COMMANDS = {path.stem for path in (PACKAGE / "cli").glob("*.py")}


def _rooms() -> set[str]:
    """Return the packages (with a slash) and modules directly in wsbench/."""
    packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    return packages | {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_the_tree_in_a_document_is_the_tree_on_disk(document: str) -> None:
    tree = re.search(r"```\nwsbench/\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert tree is not None, "no tree that begins with wsbench/"
    named = re.findall(r"^  (\w+(?:/|\.py))\s", tree[1], re.MULTILINE)
    assert sorted(named) == sorted(_rooms())


def test_the_table_of_packages_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| `(\w+(?:/|\.py))`", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(_rooms())


def test_a_file_name_stands_for_one_thing() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        if not path.stem.startswith("__"):
            homes[path.stem].append(str(path.relative_to(PACKAGE)))
    assert {stem: paths for stem, paths in homes.items() if len(paths) > 1} == {}


def test_a_class_name_stands_for_one_class() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("document", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")))
def test_files_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(r"`((?:wsbench|tests|benchmarks|scenarios|docs)/[\w./-]+)`", text)
    missing = [link for link in links if not ((ROOT / document).parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []
