"""Where ``fit`` keeps its checkpoints, from the arguments it was given."""

from collections.abc import Sequence
from pathlib import Path

from tabtext.errors import ParameterError
from tabtext.training.checkpoint import Checkpoints

__all__ = ["checkpoints_by_part", "resolve_checkpoints"]


def resolve_checkpoints(
    place: str | Path | Checkpoints | None, resume: bool | str | Path
) -> tuple[Checkpoints | None, bool]:
    """Return where checkpoints go and whether to go on from them, from the arguments of ``fit``.

    Raises
    ------
    ParameterError
        If they contradict each other, or are no places.

    Examples
    --------
    >>> checkpoints, resume = resolve_checkpoints(None, "runs/sales.checkpoints")
    >>> checkpoints.directory.name, resume
    ('sales.checkpoints', True)
    """
    if not isinstance(resume, bool | str | Path):
        raise ParameterError(f"resume={resume!r} is neither True, False nor a directory")
    if not isinstance(resume, bool):
        if place is not None:
            raise ParameterError(
                f"checkpoints={str(place)!r} and resume={str(resume)!r} both name a directory; "
                "give it once: resume=DIRECTORY, or checkpoints=DIRECTORY and resume=True"
            )
        place, resume = resume, True
    if place is None and resume:
        raise ParameterError("resume=True needs checkpoints=DIRECTORY, where the run kept its own")
    if place is None or isinstance(place, Checkpoints):
        return place, resume
    if not isinstance(place, str | Path) or not str(place):
        raise ParameterError(f"checkpoints={place!r} is no directory")
    return Checkpoints(place), resume


def checkpoints_by_part(
    place: Checkpoints | None, parts: Sequence[str], *, resume: bool
) -> dict[str, Checkpoints | None]:
    """Return where each of several networks of a fit keeps its checkpoints; a lone one has all.

    Raises
    ------
    SaveError
        If any place holds an earlier run, and this one does not go on with it: before the first
        network is trained, not when its turn comes.

    Examples
    --------
    >>> place = Checkpoints("runs/checkpoints")
    >>> both = checkpoints_by_part(place, ["forward", "backward"], resume=False)
    >>> both["backward"].directory.name
    'backward'
    >>> checkpoints_by_part(place, ["forward"], resume=False)["forward"] is place
    True
    """
    found: dict[str, Checkpoints | None] = dict.fromkeys(parts, place)
    if place is not None and len(parts) > 1:
        for part in parts:
            found[part] = Checkpoints(
                place.directory / part,
                every_steps=place.every_steps,
                every_minutes=place.every_minutes,
                keep=place.keep,
                how_to_resume=place.how_to_resume,
            )
    for own in found.values():
        if own is not None and not resume:
            own.require_free()
    return found
