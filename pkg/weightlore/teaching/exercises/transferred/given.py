"""What a sheet says of a transfer unit before it asks about one."""

__all__ = ["UNIT"]

UNIT = (
    "A transfer unit has an update gate z and a reuse gate r, both between 0 and 1, and a matrix U. From p of "
    "the source and a of the target it makes the candidate c = phi(a + U (r p)) and passes on h = (1 - z) p + z c."
)
