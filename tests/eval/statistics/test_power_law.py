"""Power laws: exact curves, scipy, the shared oracle, and what the interval covers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.statistics.power_law import fit_power_law, predict
from tests.eval.shared_oracles import oracle

SIZES = [30e3, 50e3, 100e3, 1e6, 3.5e6]
# Two runs at the ends and three inside, a score each.
NOISY_X = [1e4, 1e4, 1e5, 1e5, 1e5, 1e6, 1e6]
NOISY_F = [0.50, 0.51, 0.53, 0.52, 0.535, 0.55, 0.56]


def test_an_exact_power_law_is_recovered():
    law = fit_power_law(SIZES, [0.4 * x**0.02 for x in SIZES])
    assert (law.alpha, law.k) == (pytest.approx(0.4), pytest.approx(0.02))
    assert law.x0 == pytest.approx(math.prod(SIZES) ** (1 / 5))
    assert law.f_x0 == pytest.approx(0.4 * law.x0**0.02)
    assert (law.k_low, law.k_high) == (pytest.approx(0.02), pytest.approx(0.02))
    assert law.r2_log == pytest.approx(1)
    assert (law.theil_sen_alpha, law.theil_sen_k) == (pytest.approx(0.4), pytest.approx(0.02))
    assert (law.num_points, law.x_low, law.x_high) == (5, 30e3, 3.5e6)


def test_three_points_by_hand():
    # In powers of 10 of x: 0, 1, 2; in powers of e of f: 0, 1, 1. Slope 1/2 per decade, residuals -1/6, 1/3, -1/6.
    law = fit_power_law([1, 10, 100], [1, math.e, math.e])
    decade = math.log(10)
    assert law.k == pytest.approx(0.5 / decade)
    assert law.k_error == pytest.approx(math.sqrt((1 / 6) / 1 / 2) / decade)
    # 97.5% point of t on 1 degree of freedom: tan(pi * .475) = 12.706.
    assert law.k_high - law.k == pytest.approx(math.tan(math.pi * 0.475) * law.k_error)
    assert law.r2_log == pytest.approx(1 - (1 / 6) / (2 / 3))
    assert (law.x0, law.f_x0) == (pytest.approx(10), pytest.approx(math.exp(2 / 3)))
    # Slopes 1, 1/2, 0 per decade: median 1/2; through the medians (1, 1).
    assert law.theil_sen_k == pytest.approx(0.5 / decade)
    assert law.theil_sen_alpha == pytest.approx(math.exp(0.5))


def test_the_fit_is_scipys_regression_of_logarithms():
    expected = stats.linregress(np.log(NOISY_X), np.log(NOISY_F))
    law = fit_power_law(NOISY_X, NOISY_F)
    assert (law.k, law.k_error) == (pytest.approx(expected.slope), pytest.approx(expected.stderr))
    assert (law.alpha, law.r2_log) == (pytest.approx(math.exp(expected.intercept)), pytest.approx(expected.rvalue**2))


def test_one_failed_run_moves_the_robust_exponent_less():
    f = [0.4 * x**0.02 for x in SIZES * 3]
    f[4] -= 0.1
    law = fit_power_law(SIZES * 3, f)
    assert abs(law.theil_sen_k - 0.02) < abs(law.k - 0.02) / 5


def test_seeds_of_one_encoder_count_as_one_point():
    # The last two encoders have two seeds each; their means are .55 and .56.
    runs = fit_power_law(
        [1e4, 1e5, 1e6, 1e5, 1e6],
        [0.50, 0.53, 0.55, 0.57, 0.57],
        encoders_N=["small", "middle", "large", "middle", "large"],
    )
    assert runs == fit_power_law([1e4, 1e5, 1e6], [0.50, 0.55, 0.56])
    assert runs.num_points == 3


def test_the_interval_covers_when_encoders_vary_only_if_their_seeds_are_averaged():
    # Five encoders, ten seeds each, nearly all of the noise between encoders.
    rng = np.random.default_rng(0)
    x, encoders = np.repeat(SIZES, 10), np.repeat(np.arange(5), 10)
    held = {"averaged": 0, "runs": 0}
    for _ in range(200):
        noise = np.repeat(rng.normal(0, 0.01, 5), 10) + rng.normal(0, 0.001, 50)
        f = 0.4 * x**0.02 * np.exp(noise)
        for name, law in (("averaged", fit_power_law(x, f, encoders_N=encoders)), ("runs", fit_power_law(x, f))):
            held[name] += law.k_low <= 0.02 <= law.k_high
    # 200 draws at 95%: standard deviation 1.5%.
    assert held["averaged"] / 200 == pytest.approx(0.95, abs=0.05)
    assert held["runs"] / 200 < 0.6


def test_prediction_says_when_it_extrapolates():
    law = fit_power_law(SIZES, [0.4 * x**0.02 for x in SIZES])
    assert predict(law, 1e9) == (pytest.approx(0.4 * 1e9**0.02), True)
    assert predict(law, 1e3).extrapolates
    assert not predict(law, 2e6).extrapolates
    assert not predict(law, 3.5e6).extrapolates


def test_equal_scores_have_exponent_0_and_no_r2():
    law = fit_power_law(SIZES, [0.5] * 5)
    assert (law.k, law.f_x0) == (0, 0.5)
    assert math.isnan(law.r2_log)


@pytest.mark.parametrize(
    ("x", "f", "message"),
    [
        ([1, 2, 3], [0.1, 0.2], "one length"),
        ([], [], "0 distinct sizes"),
        ([1, 1, 2, 2], [0.1, 0.2, 0.3, 0.4], "2 distinct sizes"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "1 of 3 sizes"),
        ([1, 2, 3], [0.1, -0.2, 0.0], "2 of 3 scores"),
        ([1, 2, 3], [0.1, math.nan, 0.3], "1 of 3 scores"),
        ([1, 2, math.inf], [0.1, 0.2, 0.3], "1 of 3 sizes"),
    ],
)
def test_points_without_a_curve_are_refused(x, f, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(x, f)


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        (["a", "b"], "2 encoders for 4 runs"),
        (["a", "b", "a", "c"], "'a' has sizes 1 and 3"),
        (["a", "b", None, "c"], "size 3 has no encoder"),
        ([1.0, math.nan, 2.0, 3.0], "size 2 has no encoder"),
    ],
)
def test_wrong_encoders_are_refused(encoders, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], encoders_N=encoders)


@pytest.mark.parametrize("x", [0, -1, math.nan, math.inf])
def test_a_prediction_at_no_size_is_refused(x):
    with pytest.raises(ValueError, match="not a positive number"):
        predict(fit_power_law([1, 2, 3], [0.1, 0.2, 0.3]), x)


def test_fifteen_runs_as_the_oracle():
    given, expected = (oracle("powerlaw.15")[key] for key in ("input", "expected"))
    x, f = np.array(given["x"]), np.array(given["f"])

    def close(law, values):
        assert (law.alpha, law.k, law.k_error) == tuple(
            pytest.approx(values[key], rel=1e-10) for key in ("alpha", "k", "se_k")
        )

    law = fit_power_law(x, f)
    close(law, expected["loglog"])
    assert [law.k_low, law.k_high] == pytest.approx(expected["loglog"]["k_ci_t13"], rel=1e-10)
    assert law.r2_log == pytest.approx(expected["loglog"]["r2_log"], abs=1e-10)
    assert law.theil_sen_alpha == pytest.approx(expected["theil_sen"]["alpha"], abs=1e-10)
    assert law.theil_sen_k == pytest.approx(expected["theil_sen"]["k"], abs=1e-10)
    close(fit_power_law(x, f, encoders_N=x), expected["loglog_size_means"])
    encoders = [number if size < 1e6 else size for number, size in enumerate(x)]  # one encoder at the largest sizes
    per_encoder = fit_power_law(x, f, encoders_N=encoders)
    assert per_encoder.num_points == 11
    close(per_encoder, expected["loglog_per_encoder11"])
