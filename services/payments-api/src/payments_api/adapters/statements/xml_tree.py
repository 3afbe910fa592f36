"""XML into a small tree whose nodes know their line. No DTD, no entities, nothing from elsewhere; depth is bounded.

Namespaces are cut off names: which document it is says its root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml import DefusedXmlException, sax  # type: ignore[import-untyped]

from payments_api.application.bank_statements import StatementRefused

DEPTH_MAX = 40


@dataclass(slots=True)
class Node:
    """An element. ``text`` is its own, without its children's."""

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, path: str) -> Sequence[Node]:
        """The elements at ``path`` (``Refs/TxId``) below this one."""
        found: list[Node] = [self]
        for name in path.split("/"):
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def first(self, *paths: str) -> Node | None:
        """The first element at the first path that has any."""
        return next((found[0] for path in paths if (found := self.all(path))), None)

    def text_at(self, *paths: str) -> str | None:
        """Its text, None when there is no such element or it is empty."""
        texts = (node.text.strip() for path in paths for node in self.all(path))
        return next((text for text in texts if text), None)


def read_tree(body: bytes) -> Node:
    """The root. Raises StatementRefused."""
    builder = _Builder()
    try:
        sax.parseString(body, builder, forbid_dtd=True)
    except SAXParseException as error:
        raise StatementRefused("not_xml", error.getMessage(), error.getLineNumber()) from error
    except DefusedXmlException as error:
        raise StatementRefused("forbidden_xml", "a DTD and entities are not taken", builder.line) from error
    except (SAXException, LookupError, ValueError) as error:
        # LookupError, ValueError: an encoding that Python does not know, or that is not one of texts.
        raise StatementRefused("not_xml", "This is not XML that can be read") from error
    assert builder.root is not None, "a document without an element is not XML"
    return builder.root


class _Builder(ContentHandler):
    def __init__(self) -> None:
        super().__init__()
        self.root: Node | None = None
        self._open: list[Node] = []
        self._locator: Locator | None = None

    @property
    def line(self) -> int:
        return (self._locator.getLineNumber() or 0) if self._locator is not None else 0

    def setDocumentLocator(self, locator: Any) -> None:  # noqa: N802 - the handler's interface
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - as above
        if len(self._open) == DEPTH_MAX:
            raise StatementRefused("not_xml", "elements are nested too deeply", self.line)
        node = Node(name.rpartition(":")[2], self.line, dict(attrs.items()))
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def endElement(self, name: str) -> None:  # noqa: N802 - as above
        self._open.pop()

    def characters(self, content: str) -> None:
        self._open[-1].text += content
