"""``make claims``: measure the claims of the ledger. Interrupt it when you like; the next run goes on there."""

import argparse

import torch
from tests.claims import LEDGERS, collected
from tqdm import tqdm

from weightlore.teaching.recording import prune, run_claims


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.claims", description=__doc__)
    parser.add_argument("--chapter", help="only this ledger, such as 1_corrupted")
    parser.add_argument("--only", action="append", metavar="ID", help="only this claim; may be given several times")
    parser.add_argument("--list", action="store_true", help="say what there is and measure nothing")
    parser.add_argument("--prune", action="store_true", help="take out the rows that belong to no claim")
    options = parser.parse_args()
    if options.prune:
        return print("rows taken out:", ", ".join(prune(collected(), LEDGERS)) or "none")
    torch.set_num_threads(1)
    claims = [claim for claim in collected() if options.chapter in (None, claim.chapter)]
    if not claims:
        parser.error(f"there are no claims for {options.chapter}; chapters: {sorted({c.chapter for c in collected()})}")
    bar = tqdm(total=sum(len(claim.seeds) for claim in claims), unit="seed", disable=options.list)

    def say(line: str) -> None:
        bar.set_description(line)
        bar.update()

    try:
        ledgers = run_claims(claims, LEDGERS, only=[] if options.list else options.only, progress=say)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; every finished seed is stored, the next run goes on from there") from None
    finally:
        bar.close()
    for rows in ledgers.values():
        for row in rows:
            print(f"{row['id']:32} {row['verdict']:16} {len(row['values'])} of {row['seeds']} seeds")


if __name__ == "__main__":
    main()
