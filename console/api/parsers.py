"""Bodies of requests: JSON, and nothing that could tie the parser up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class BoundedJSONParser(JSONParser):
    """JSON that nests too deeply is the sender's fault, not ours."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The parsed body. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON nests too deeply: send a flatter document.") from error
        except ParseError as error:
            fault = str(error.detail).removeprefix("JSON parse error - ")
            raise ParseError(f"The body is no JSON in UTF-8: {fault}.") from error
