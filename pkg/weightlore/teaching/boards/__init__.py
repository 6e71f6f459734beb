"""What stands on the blackboard at the end of each class, drawn by code in the palette of the book."""

from weightlore.teaching.boards.chapters import board as board
from weightlore.teaching.boards.chapters import drawn_chapters as drawn_chapters
