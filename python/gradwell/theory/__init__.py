"""What to expect of a network before it trains, and what its surroundings look like."""

from gradwell.theory import dynamics
from gradwell.theory.forecasting import Forecast, forecast
from gradwell.theory.landscapes import Landscape, landscape
from gradwell.theory.meanfield import critical_weight_variance, depth_scale, fixed_point, gaussian_mean, mean_field
from gradwell.theory.paths import PathEnsemble, path_ensemble, path_gradients
from gradwell.theory.recurrence import RecurrentBound, recurrent_bound

__all__ = [
    "Forecast",
    "Landscape",
    "PathEnsemble",
    "RecurrentBound",
    "critical_weight_variance",
    "depth_scale",
    "dynamics",
    "fixed_point",
    "forecast",
    "gaussian_mean",
    "landscape",
    "mean_field",
    "path_ensemble",
    "path_gradients",
    "recurrent_bound",
]
