"""What the ledger says, as code: one module ``claims_<chapter>.py`` with a list ``CLAIMS`` for each chapter.

collected()                              every claim of every chapter
python -m tests.claims                   measure what is missing, go on where a run stopped
python -m tests.claims --chapter 1_corrupted --only random-harmless
python -m tests.claims --list            what there is, and how far it is

Claims of one study share its numbers; they lie in ``studies/``, or beside the ledger if a notebook draws them.
"""

import importlib
import pkgutil
from pathlib import Path

from weightlore.teaching.claims import Claim

LEDGERS = Path(__file__).parents[2] / "book" / "ledger"


def collected() -> list[Claim]:
    """Every claim, by chapter and in the order of the modules."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("claims_"))
    return [claim for name in names for claim in importlib.import_module(f"{__name__}.{name}").CLAIMS]
