"""What must hold of a stored ledger, as functions, so that a test can show that each of them bites."""

import math

from weightlore.teaching.claims import Claim, row


def drifted(claim: Claim, stored: dict) -> list[str]:
    """What a stored row says that does not follow from the claim and the values stored in it."""
    values = {int(seed): numbers for seed, numbers in stored["values"].items()}
    due = row(claim, values)
    return [
        f"{claim.id}: {key} is {stored.get(key)!r}, must be {due[key]!r}" for key in due if stored.get(key) != due[key]
    ]


def moved(claim: Claim, stored: dict) -> list[str]:
    """Where the first stored seed, measured again, gives another number."""
    if not stored["values"]:
        return [f"{claim.id} is marked fast, but was never measured"]
    seed = next(seed for seed in claim.seeds if str(seed) in stored["values"])
    found = claim.measure(seed)
    numbers = found if isinstance(found, dict) else {"value": found}
    kept = stored["values"][str(seed)]
    if numbers.keys() != kept.keys():
        return [f"{claim.id}, seed {seed}: measures {sorted(numbers)}, stored are {sorted(kept)}"]
    return [
        f"{claim.id}, seed {seed}: {name} was {kept[name]:.6g}, is now {float(numbers[name]):.6g}"
        for name in kept
        if not math.isclose(float(numbers[name]), kept[name], rel_tol=1e-5, abs_tol=claim.tolerance)
    ]


def unlisted(claims: list[Claim], rows: list[dict]) -> list[str]:
    """Claims without a row, rows without a claim."""
    ids, stored = {claim.id for claim in claims}, {r["id"] for r in rows}
    return [f"{i} has no row" for i in sorted(ids - stored)] + [
        f"row {i} has no claim; python -m tests.claims --prune takes it out" for i in sorted(stored - ids)
    ]
