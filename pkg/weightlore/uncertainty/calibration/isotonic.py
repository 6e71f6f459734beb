"""Isotonic calibration: the best map that never falls.

    f = argmin over non-decreasing f of sum_n (f(p_n) - t_n)^2        IsotonicCalibration

Examples of equal confidence are averaged first. Between the knots the map is linear, outside it is constant. Many
classes are taken each against the rest.
"""

import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest
from weightlore.uncertainty.calibration.piecewise import Knots

__all__ = ["IsotonicCalibration", "isotonic_map"]


class IsotonicCalibration(OneVsRest):
    """Fit the best map that never falls, for each class.

    Attributes:
        maps: polygons, one for each class, a single one for two classes.

    Example:
        >>> z = torch.tensor([[0.0, -1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        >>> IsotonicCalibration().fit(z, torch.tensor([0, 1, 0, 1])).predict_proba(z[1:3])
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])

    Source: [zadrozny2002transforming], isotonic regression and one against all
    """

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the polygon of one class, fitted on its probabilities (N,) and on where it is right (N,), bool."""
        return isotonic_map(scores, hit.double())


def isotonic_map(x: Tensor, t: Tensor) -> Knots:
    """Return the isotonic regression of t on x as a polygon; scikit-learn's.

        f = argmin over non-decreasing f of sum_n (f(x_n) - t_n)^2

    Args:
        x: places, shape (N,).
        t: values, shape (N,), in [0, 1].

    Returns:
        A map from numbers of any shape, linear between the knots and constant outside.

    Raises:
        ParameterError: if an entry is not finite.

    Example:
        >>> isotonic_map(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 0.5])).y
        tensor([0.0000, 0.7500, 0.7500], dtype=torch.float64)

    Source: [zadrozny2002transforming], pair-adjacent violators
    """
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fitted.fit(x.double().numpy(), t.double().numpy())
    return Knots(torch.as_tensor(fitted.X_thresholds_), torch.as_tensor(fitted.y_thresholds_))
