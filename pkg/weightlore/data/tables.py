"""Three small tables that come with scikit-learn, in splits that never change.

diabetes        442 patients, 10 measurements, how far the disease went on within a year: a number to regress
breast_cancer   569 tumors, 30 measurements, 2 classes
wine            178 wines, 13 measurements, 3 classes

Rows are ordered by a hash of their number, with classes in proportion, as the digits are. The first 30 in a hundred are
the test set, the next 10 the validation set, the rest the train set. Columns have units from grams to years, so that
they are standardized unless the numbers as measured are asked for: with what the train rows say, never the test rows.
"""

from collections.abc import Callable
from functools import cache

import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from torch import Tensor

from weightlore.data.digits import DigitSplit
from weightlore.data.ordering import interleaved
from weightlore.data.split import Split
from weightlore.errors import ParameterError, require_option

__all__ = ["breast_cancer", "diabetes", "wine"]


def diabetes(split: DigitSplit = "test", *, standardize: bool = True, dtype: torch.dtype = torch.float64) -> Split:
    """Return measurements of patients with diabetes, and a number for how far it went on within a year.

    The tensors are fresh with every call: change them as you like.

    Args:
        split: ``"train"`` (265 patients), ``"validation"`` (44), ``"test"`` (133) or ``"all"`` (442, in the original
            order).
        standardize: whether columns of x have mean 0 and standard deviation 1 over the train rows; otherwise they are
            as measured. The target always is.
        dtype: floating dtype of x and y.

    Returns:
        x of shape (N, 10): age, sex, body mass index, blood pressure, six of blood serum; y of shape (N, 1), 25 to 346.

    Raises:
        ParameterError: if there is no such split, or the dtype is not floating.

    Example:
        >>> diabetes("train").x.shape
        torch.Size([265, 10])

    Source: [pedregosa2011sklearn], which distributes the table; the splits are ours.
    """
    return _part(_diabetes, split, standardize, dtype)


def breast_cancer(split: DigitSplit = "test", *, standardize: bool = True, dtype: torch.dtype = torch.float64) -> Split:
    """Return measurements of cell nuclei, and whether the tumor is malignant (0) or benign (1).

    Args:
        split: ``"train"`` (341 tumors), ``"validation"`` (57), ``"test"`` (171) or ``"all"`` (569, in the original
            order). Each of the three holds both classes in equal proportion, to within one row.
        standardize: as in ``diabetes``.
        dtype: floating dtype of x.

    Returns:
        x of shape (N, 30); y of shape (N,), int64.

    Raises:
        ParameterError: as ``diabetes``.

    Example:
        >>> breast_cancer("train").x.shape
        torch.Size([341, 30])

    Source: [pedregosa2011sklearn], which distributes the table; the splits are ours.
    """
    return _part(_breast_cancer, split, standardize, dtype)


def wine(split: DigitSplit = "test", *, standardize: bool = True, dtype: torch.dtype = torch.float64) -> Split:
    """Return chemical measurements of wines, and which of three growers made each.

    Args:
        split: ``"train"`` (107 wines), ``"validation"`` (18), ``"test"`` (53) or ``"all"`` (178, in the original
            order). Each of the three holds the growers in equal proportion, to within one row.
        standardize: as in ``diabetes``.
        dtype: floating dtype of x.

    Returns:
        x of shape (N, 13); y of shape (N,), int64, 0 to 2.

    Raises:
        ParameterError: as ``diabetes``.

    Example:
        >>> wine("validation")
        Split(N=18: x (18, 13) float64, y (18,) int64)

    Source: [pedregosa2011sklearn], which distributes the table; the splits are ours.
    """
    return _part(_wine, split, standardize, dtype)


def _part(table: Callable[[], "_Table"], split: DigitSplit, standardize: bool, dtype: torch.dtype) -> Split:
    require_option("split", split, DigitSplit)
    if not dtype.is_floating_point:
        raise ParameterError(f"measurements are real numbers: dtype must be floating, got {dtype}; take torch.float64")
    x, y, order = table()
    cuts = {"test": slice(0, round(0.3 * len(x))), "train": slice(round(0.4 * len(x)), len(x))}
    cuts["validation"] = slice(cuts["test"].stop, cuts["train"].start)
    if standardize:
        train = x[order[cuts["train"]]]
        x = (x - train.mean(0)) / train.std(0, correction=0)
    rows = torch.arange(len(x)) if split == "all" else order[cuts[split]]
    return Split(x[rows], y[rows]).to(dtype=dtype)


_Table = tuple[Tensor, Tensor, Tensor]  # x, y and the order of the rows


@cache
def _diabetes() -> _Table:
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x = x.round(6)  # old releases of scikit-learn have 4.803999999999999 for 4.804
    return torch.tensor(x), torch.tensor(y)[:, None], torch.tensor(interleaved([0] * len(x), "weightlore diabetes"))


@cache
def _breast_cancer() -> _Table:
    return _classified(*load_breast_cancer(return_X_y=True), name="weightlore breast_cancer")


@cache
def _wine() -> _Table:
    return _classified(*load_wine(return_X_y=True), name="weightlore wine")


def _classified(x: object, y: object, *, name: str) -> _Table:
    labels = torch.tensor(y, dtype=torch.int64)
    return torch.tensor(x, dtype=torch.float64), labels, torch.tensor(interleaved(labels.tolist(), name))
