"""Are the uncertain predictions the wrong ones? Detection with a mistake as the thing to be found.

    mistakes                    which predictions name the wrong class
    misclassification_report    all measures of ``detection`` for these

By default a prediction is as uncertain as its largest probability leaves it; any other score can be given.
"""

from torch import Tensor

from weightlore.uncertainty.measures.members import Members, mean_of, require_observed
from weightlore.uncertainty.ranking.detection import DetectionReport, detection_report

__all__ = ["misclassification_report", "mistakes"]


def mistakes(p: Members, y: Tensor) -> Tensor:
    """Return which predictions name the wrong class; ties of probabilities go to the smallest class number.

        wrong_i = [ argmax_c pbar_ic != y_i ]

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.
        y: class numbers, shape (N,), int64.

    Returns:
        Booleans, shape (N,).

    Raises:
        ParameterError: if these are no probabilities or class numbers.

    Example:
        >>> import torch
        >>> mistakes(torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 0]))
        tensor([False,  True])

    Source: [hendrycks2017baseline], error and success prediction
    """
    mean = mean_of(p).detach()
    return mean.argmax(-1) != require_observed(y, (len(mean),), mean.shape[-1])


def misclassification_report(p: Members, y: Tensor, *, scores: Tensor | None = None) -> DetectionReport:
    """Return how well an uncertainty finds the mistakes.

    *Positive* is a wrong prediction: ``auprc_positive`` is what papers call AUPR-Error, ``auprc_negative``
    AUPR-Success, and ``prevalence`` the error rate.

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.
        y: class numbers, shape (N,), int64.
        scores: larger = less certain, shape (N,); ``None`` for 1 - max_c pbar_c.

    Returns:
        The report. Two methods make different mistakes, so that a worse classifier can have the better report; compare
        AURC as well.

    Raises:
        ParameterError: if these are no probabilities, class numbers or scores, or all are right or all wrong.

    Example:
        >>> import torch
        >>> misclassification_report(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([0, 1])).auroc
        1.0

    Source: [hendrycks2017baseline], detecting misclassified examples
    """
    wrong = mistakes(p, y)
    return detection_report(1 - mean_of(p).amax(-1) if scores is None else scores, wrong)
