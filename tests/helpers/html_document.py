"""A page of HTML as its elements, its text and the figures that its script draws."""

from __future__ import annotations

import json
from html.parser import HTMLParser


class Document(HTMLParser):
    """Elements of a page, its text, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def figure(self, name: str) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = next(
            each for each in json.loads(self.scripts[0]) if each["id"] == name
        )
        return found

    def figures(self) -> list[str]:
        return [each["id"] for each in json.loads(self.scripts[0])]
