"""Which chapter has which board: ``board("0_healthy")`` draws it, ``drawn_chapters()`` lists them."""

from collections.abc import Callable

from weightlore.errors import ParameterError
from weightlore.teaching.boards.binarized import binarized_board
from weightlore.teaching.boards.corrupted import corrupted_board
from weightlore.teaching.boards.crossed import crossed_board
from weightlore.teaching.boards.explained import explained_board
from weightlore.teaching.boards.healthy import healthy_board
from weightlore.teaching.boards.sliced import sliced_board
from weightlore.teaching.boards.transferred import transferred_board
from weightlore.teaching.boards.uncertain import uncertain_board
from weightlore.teaching.diagrams import Diagram

__all__ = ["board", "drawn_chapters"]

BOARDS: dict[str, Callable[[], Diagram]] = {
    "0_healthy": healthy_board,
    "1_corrupted": corrupted_board,
    "2_transferred": transferred_board,
    "3_uncertain": uncertain_board,
    "4_explained": explained_board,
    "5_sliced": sliced_board,
    "6_binarized": binarized_board,
    "7_crossed": crossed_board,
}


def drawn_chapters() -> tuple[str, ...]:
    """Return the chapters that have a board, in order.

    Source: ours
    """
    return tuple(BOARDS)


def board(chapter: str) -> Diagram:
    """Draw what stands on the board at the end of the class on a chapter.

    Args:
        chapter: the folder of its tutorials, such as ``0_healthy``.

    Raises:
        ParameterError: if the chapter has no board; the message lists those that have one.

    Source: ours
    """
    if chapter not in BOARDS:
        raise ParameterError(f"chapter {chapter!r} has no board; boards are drawn for {', '.join(BOARDS)}")
    return BOARDS[chapter]()
