"""Real data as DataFrames: two sets that ship with tabtext, and loaders for larger public ones.

``load_flights`` and ``load_snippets`` need nothing. The others read files that you have on disk,
from the folder given as ``path`` or from the folder of that name in ``$TABTEXT_DATA``, and return
``Splits``: train, valid and test as published or as customary, so that figures compare. Texts with
unlabelled ones come as ``Reviews``, and corpora that are tokens already as ``TokenStreams``.

>>> from tabtext import datasets
>>> flights = datasets.load_flights()
>>> len(flights)
336776
>>> datasets.load_snippets("tweets")["rating"].between(-4, 4).all()
np.True_
"""

from tabtext.datasets.public import (
    load_adult,
    load_airbnb,
    load_california,
    load_diamonds,
    load_otto,
)
from tabtext.datasets.rossmann import load_rossmann
from tabtext.datasets.shipped import load_flights, load_snippets
from tabtext.datasets.splits import Splits
from tabtext.datasets.texts import Reviews, TokenStreams, load_imdb, load_sst5, load_wikitext2

__all__ = [
    "Reviews",
    "Splits",
    "TokenStreams",
    "load_adult",
    "load_airbnb",
    "load_california",
    "load_diamonds",
    "load_flights",
    "load_imdb",
    "load_otto",
    "load_rossmann",
    "load_snippets",
    "load_sst5",
    "load_wikitext2",
]
