"""Read the XML of a part in a stream, without entities, deep nesting and endless tokens.

Names lose their prefixes, so that transitional and strict Open XML and names such as `x:row` are
read alike.
"""

from collections.abc import Iterable, Iterator
from typing import Final
from xml.parsers import expat

# A workbook has a dozen levels; each further one takes memory.
_MAX_DEPTH: Final = 64
# A tag with its attributes; expat reads an unfinished tag again with every piece.
_MAX_TOKEN_BYTES: Final = 1 << 20

Attributes = dict[str, str]


class Handler:
    """A receiver of the elements (by name without prefix) and texts of a part, in order."""

    def start(self, name: str, attributes: Attributes) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, text: str) -> None: ...


class NoXml(ValueError):
    """The part is not XML of a workbook."""


def pieces(chunks: Iterable[bytes], handler: Handler) -> Iterator[None]:
    """Pass a part to `handler` and yield after each piece; raise `NoXml` if it is damaged."""
    parser = expat.ParserCreate()
    _connect(parser, handler)
    fed = 0
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - max(0, parser.CurrentByteIndex) > _MAX_TOKEN_BYTES:
                raise NoXml("a tag has no end")
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NoXml(str(error)) from None
    yield


def _connect(parser: expat.XMLParserType, handler: Handler) -> None:
    depth = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise NoXml("its elements are nested too deep")
        handler.start(name.rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(name.rpartition(":")[2])

    def doctype(*_: object) -> None:
        raise NoXml("it declares a document type")

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = doctype
