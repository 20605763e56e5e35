"""What a model tells about itself, from its ``config.json``: on a terminal, and as README.md.

    config.json ── card_of ──▶ ModelCard ── print_card  ──▶ tabtext inspect
                                         └─ to_markdown ──▶ README.md of the artifact

``ModelCard`` holds plain text; each rendering escapes what data has put into it in its own way.
This package imports nothing else of tabtext, so that saving and showing can both use it.
"""

from tabtext.model_card.content import ModelCard, Section, Table, card_of
from tabtext.model_card.markdown import to_markdown
from tabtext.model_card.printed import print_card
from tabtext.model_card.words import PHASE_HEAD, phase_rows, type_name, value_text

__all__ = [
    "PHASE_HEAD",
    "ModelCard",
    "Section",
    "Table",
    "card_of",
    "phase_rows",
    "print_card",
    "to_markdown",
    "type_name",
    "value_text",
]
