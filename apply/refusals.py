"""Classes a refused put by what stands there, without another read (protocol §2, the table). Pure."""

from domain.items import Item
from domain.outcomes import Outcome
from domain.stamps import Stamp


def classify(standing: Item, ours: Stamp) -> Outcome:
    """Tell why ``standing`` refused a put stamped ``ours``.

    An item whose checksum does not fit was changed by somebody else, whatever its stamp says; only then source and
    version are believed.
    """
    stamp = Stamp.of(standing)
    if stamp is None or not stamp.fits(standing):
        return Outcome.FOREIGN
    if stamp.source != ours.source:
        return Outcome.COLLISION
    return Outcome.SUPERSEDED
