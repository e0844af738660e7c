"""Console of the commands: names and log lines are printed as text, whatever they hold."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from workflow_scripts.core.escapes import printable
from workflow_scripts.core.streams import encodable


class PlainConsole(Console):
    """A rich console on which a control character in a text is printed as an escape and ":tag:" is no emoji."""

    def __init__(self, *, width: int | None = None, **options: Any) -> None:
        """Take the width of lines where the output is no terminal."""
        super().__init__(emoji=False, **options)
        if width is not None and not self.is_terminal:
            self.width = width

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a text with markup, if any; columns are aligned after what the encoding lacks is replaced."""
        shown = printable(text, keep="\n\t")
        return super().render_str(
            shown if self.encoding.startswith("utf") else encodable(shown, self.encoding), **options
        )
