"""Draw the variant of an exercise that belongs to a seed.

    variant("corrupted.by_hand", seed)    an exercise with other numbers, such as "corrupted.by_hand@1a2b"

The numbers come from a hash of seed and id, so that a variant says nothing of the seed, nor of other variants. A draw
that makes an unfair exercise is put back.
"""

import hashlib
from dataclasses import replace

import torch

from weightlore.errors import ParameterError
from weightlore.teaching.exercises.checker import Exercise, exercises
from weightlore.teaching.variants.fairness import faults
from weightlore.teaching.variants.families import families

__all__ = ["hashed", "variant"]

TRIES, SUFFIX = 200, 4


def variant(exercise_id: str, seed: int) -> Exercise:
    """Return the variant of an exercise that belongs to a seed.

    Args:
        exercise_id: the public one's, such as ``"corrupted.by_hand"``.
        seed: of the class, such as ``class_seed`` reads it from a private file; any whole number.

    Returns:
        An exercise whose id has four more characters, ``"corrupted.by_hand@1a2b"``. Its answer is not the public one,
        and no two of its diagnoses say the same. The same seed gives the same variant on every machine.

    Raises:
        ParameterError: if there is no such exercise, or it has no variants; the message lists those that have.

    Source: ours
    """
    chapter = exercise_id.partition(".")[0]
    known = families(chapter)
    if exercise_id not in known:
        raise ParameterError(f"exercise {exercise_id!r} has no variants; choose one that has: {', '.join(known)}")
    public = next(exercise for exercise in exercises(chapter) if exercise.id == exercise_id)
    family, generator = known[exercise_id], torch.Generator().manual_seed(hashed("numbers", exercise_id, seed))
    for _ in range(TRIES):
        exercise = family.build(family.drawn(generator))
        if not (found := faults(exercise, public)):
            suffix = f"{hashed('name', exercise_id, seed):016x}"[:SUFFIX]
            return replace(exercise, id=f"{exercise_id}@{suffix}")
    raise ParameterError(f"{TRIES} draws of {exercise_id!r} made no fair exercise; the last one: {found[0]}")


def hashed(*parts: object) -> int:
    """Return a number of 64 bits that belongs to some things, and from which they cannot be read.

    Args:
        parts: what is hashed, by its text.

    Source: ours, the first 64 bits of SHA-256
    """
    text = "\n".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
