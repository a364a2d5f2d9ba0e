"""Golden values of the closed form (design: Durations), its fallbacks and its updates."""

import math
import pickle

import numpy as np
import pytest

from twin.durations.booked import booked_room_min, booked_surgical_min
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.distribution import LogT
from twin.durations.model import DurationModel, Tally
from twin.durations.stages import STAGE_LAWS, default_nonsurgical_min, default_turnover_min, stage_law
from twin.errors import SettingsError
from twin.site import DurationOptions
from twin.vocabulary import BookedInterval, CareSetting, Stage

DECILES = (0.1, 0.5, 0.9)
# The design gives β_s = .05 as it is; with no booking learned β is 0, so the bookings below carry it.
BOOKED_90 = 90 * math.exp(0.05)


@pytest.fixture
def learned() -> DurationModel:
    tallies = {
        ("procedure", "p"): Tally(20, 20 * math.log(100), 1.6, 20),
        ("pair", "p", "s"): Tally(12, 12 * math.log(112), cases=12),
    }
    return DurationModel(prior_loc=math.log(80), tallies=tallies)


def test_golden_known_surgeon(learned: DurationModel) -> None:
    found = learned.predict(CaseFeatures("p", "s", None, BOOKED_90))
    assert found.weight == pytest.approx(17.6170, abs=5e-5)
    assert found.loc == pytest.approx(4.6721, abs=5e-5)
    assert found.nu == 28
    assert found.s == pytest.approx(0.2878, abs=5e-5)
    assert (found.procedure_cases, found.pair_cases) == (20, 12)
    assert found.distribution.ppf(DECILES) == pytest.approx([72.5, 106.9, 157.7], abs=0.05)


@pytest.mark.parametrize("surgeon", [None, "never seen"])
def test_golden_surgeon_unknown(learned: DurationModel, surgeon: str | None) -> None:
    found = learned.predict(CaseFeatures("p", surgeon, None, BOOKED_90))
    assert found.weight == pytest.approx(5.6170, abs=5e-5)
    assert found.distribution.ppf(DECILES) == pytest.approx([64.3, 96.8, 145.9], abs=0.05)


@pytest.mark.parametrize("procedure", [None, "never seen"])
def test_golden_unseen_procedure(procedure: str | None) -> None:
    model = DurationModel()
    with_booked = model.predict(CaseFeatures(procedure, booked_min=240)).distribution
    without = model.predict(CaseFeatures(procedure)).distribution
    assert with_booked.ppf(DECILES) == pytest.approx([128.9, 207.5, 333.9], abs=0.06)
    assert without.ppf(DECILES) == pytest.approx([34.9, 75.0, 161.0], abs=0.05)


def test_prior_is_booked_median() -> None:
    options = DurationOptions()
    assert DurationModel.without_history(options, [30, 90, 600]).prior_loc == pytest.approx(math.log(90))
    assert DurationModel.without_history(options).prior_loc == pytest.approx(math.log(75))


def test_learning_updates_every_level() -> None:
    features = CaseFeatures("p", "s", "g", 60)
    before = DurationModel().predict(features)
    model = DurationModel().learn(features, 66)
    y = math.log(66)
    for key in (("site",), ("specialty", "g"), ("procedure", "p"), ("pair", "p", "s")):
        assert model.tallies[key].n == model.tallies[key].cases == 1
        assert model.tallies[key].total == pytest.approx(y)
    assert model.tallies[("bias", "s")].total == pytest.approx(math.log(1.1), abs=1e-6)
    expected = (y - before.loc) ** 2 / (1 + 1 / before.weight)
    assert model.tallies[("procedure", "p")].squares == pytest.approx(expected, abs=1e-6)


def test_bookings_too_short_are_learned() -> None:
    model = DurationModel().learn_all(FinishedCase(CaseFeatures("p", "s", "g", 60), 80.0) for _ in range(30))
    ratio = math.log(80 / 60)
    site, surgeon = 30 * ratio / 40, (30 * ratio + 10 * 30 * ratio / 40) / 40
    stranger = model.predict(CaseFeatures(None, "other", None, 60))
    same = model.predict(CaseFeatures(None, "s", None, 60))
    assert (same.loc - stranger.loc) * same.weight == pytest.approx(3 * (surgeon - site), rel=0.06)
    assert model.predict(CaseFeatures("p", "s", "g", 60)).distribution.median == pytest.approx(80, rel=0.02)


def test_outlier_is_winsorised() -> None:
    features = CaseFeatures("p", booked_min=60)
    before = DurationModel().predict(features)
    model = DurationModel().learn(features, 100_000)
    assert model.tallies[("procedure", "p")].total == pytest.approx(before.loc + 4 * before.distribution.scale)


def test_learning_one_by_one_is_learning_all() -> None:
    cases = [FinishedCase(CaseFeatures("p", "s" if n % 2 else "t", "g", 60.0 + n), 70.0 + 3 * n) for n in range(9)]
    stepwise = DurationModel()
    for case in cases:
        stepwise = stepwise.learn(case.features, case.actual_min)
    assert stepwise == DurationModel().learn_all(cases)
    assert pickle.loads(pickle.dumps(stepwise)) == stepwise
    assert DurationModel().tallies == {}


def test_sigma0_follows_the_site() -> None:
    rng = np.random.default_rng(1)
    cases = [FinishedCase(CaseFeatures("p", "s"), float(np.exp(4 + 0.6 * z))) for z in rng.standard_normal(2000)]
    model = DurationModel().learn_all(cases).with_sigma0()
    squares = model.tallies[("procedure", "p")].squares
    assert model.constants.sigma0 == pytest.approx(math.sqrt((200 * 0.09 + squares) / 2200))
    assert model.constants.sigma0 == pytest.approx(0.575, abs=0.02)


def test_predictions_cover_lognormal_truth() -> None:
    rng = np.random.default_rng(2)
    actual = np.exp(4.2 + 0.35 * rng.standard_normal(1000))
    model, inside = DurationModel(), 0
    for minutes in actual:
        low, high = model.predict(CaseFeatures("p", "s")).distribution.ppf([0.1, 0.9])
        inside += bool(low <= minutes <= high)
        model = model.learn(CaseFeatures("p", "s"), float(minutes))
    assert 0.77 <= inside / 1000 <= 0.84


def test_booked_brought_to_room_time() -> None:
    assert booked_room_min(90, BookedInterval.ROOM) == 90
    assert booked_room_min(90, BookedInterval.SKIN_TO_SKIN) == pytest.approx(90 + default_nonsurgical_min())
    assert booked_room_min(90, BookedInterval.SKIN_TO_SKIN, 25) == 115
    assert booked_room_min(90, BookedInterval.ROOM_AND_CLEANING) == pytest.approx(90 - default_turnover_min())
    assert booked_room_min(20, BookedInterval.ROOM_AND_CLEANING) == 10
    assert booked_room_min(None, BookedInterval.ROOM) is None
    assert booked_room_min(0, BookedInterval.ROOM) is None


def test_booked_brought_to_surgical_time() -> None:
    assert booked_surgical_min(100) == pytest.approx(100 - default_nonsurgical_min())
    assert booked_surgical_min(30, 40) == 15
    assert booked_surgical_min(None) is None


def test_every_stage_has_a_law() -> None:
    from_model = {Stage.ROOM_TIME, Stage.SURGICAL_TIME}
    for setting in CareSetting:
        for stage in set(Stage) - from_model:
            assert stage_law(STAGE_LAWS, stage, setting).source
    with pytest.raises(KeyError):
        stage_law(STAGE_LAWS, Stage.ROOM_TIME, CareSetting.UNKNOWN)


def test_ward_stay_is_days() -> None:
    home = stage_law(STAGE_LAWS, Stage.UNIT, CareSetting.AMBULATORY).law
    ward = stage_law(STAGE_LAWS, Stage.UNIT, CareSetting.INPATIENT).law
    assert home.median < 4 * 60
    assert ward.median > 1440


def test_law_refuses_nonsense() -> None:
    for loc, scale in ((math.nan, 0.3), (4.0, 0.0), (4.0, math.nan)):
        with pytest.raises(SettingsError):
            LogT(loc, scale)


def test_quantiles_invert_the_law() -> None:
    law = LogT(4.2, 0.5, 5, upper_min=300)
    p = np.linspace(0.001, 1, 40)
    assert law.cdf(law.ppf(p)) == pytest.approx(p)
    assert law.sf(law.ppf(p)) == pytest.approx(1 - p, abs=1e-12)
    assert law.ppf(1.0) == pytest.approx(300)
    assert law.cdf(0.0) == 0


def test_constant_is_constant() -> None:
    for minutes in (0, 0.5, 30, 5000):
        assert LogT.constant(minutes).ppf([0.001, 0.999]) == pytest.approx([minutes, minutes], abs=1e-4)
