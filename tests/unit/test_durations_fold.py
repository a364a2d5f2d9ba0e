"""The fold of finished cases: in arrays and one by one, forgetting, regressors, nightly constants, export, reasons."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.durations.batch import Batch, replay
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.estimate import GRID, estimated
from twin.durations.explain import explain
from twin.durations.model import DurationModel
from twin.durations.portable import model_of, values_of
from twin.durations.regressors import Regressors, columns_of
from twin.errors import SettingsError
from twin.site import DurationOptions

START = datetime(2026, 1, 5, 8, tzinfo=UTC)

_features = st.builds(
    CaseFeatures,
    procedure=st.sampled_from([None, "p", "q"]),
    surgeon=st.sampled_from([None, "s", "t"]),
    specialty=st.sampled_from([None, "g"]),
    booked_min=st.sampled_from([None, 0.0, 45.0, 90.0]),
)
_instants = st.none() | st.integers(0, 900).map(lambda days: START + timedelta(days=days))
_cases = st.lists(st.builds(FinishedCase, _features, st.floats(1, 1400), _instants), max_size=30)


def _site(seed: int, count: int, *, asa: bool = False) -> list[FinishedCase]:
    """ln minutes around 4 + procedure + surgeon, sd .25; asa = 4 takes 30 % longer."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        p, s, four = rng.integers(8), rng.integers(4), rng.random() < 0.3
        y = 4 + 0.2 * p + 0.1 * s + 0.25 * rng.standard_normal() + (0.26 if asa and four else 0.0)
        told = (("asa", "4" if four else "2"),) if asa else ()
        features = CaseFeatures(f"p{p}", f"s{s}", "g", None, told)
        made.append(FinishedCase(features, math.exp(y), START + timedelta(hours=number)))
    return made


@given(_cases, _cases)
def test_arrays_equal_one_by_one(known: list[FinishedCase], more: list[FinishedCase]) -> None:
    model = DurationModel().learn_all(known)
    stepwise, laws = model, []
    for case in more:
        laws.append(stepwise.predict(case.features, case.at))
        stepwise = stepwise.learn(case.features, case.actual_min, case.at)
    found = replay(model, Batch.of(more))
    assert found.model == stepwise
    undated = [number for number, case in enumerate(more) if case.at is None]
    for number in undated:
        assert found.law.loc[number] == laws[number].loc
        assert math.sqrt(found.law.spread[number]) == laws[number].distribution.scale


@given(st.lists(st.builds(FinishedCase, _features, st.floats(50, 70)), max_size=12), st.randoms())
def test_sums_ignore_the_order(cases: list[FinishedCase], random: Any) -> None:
    shuffled = random.sample(cases, len(cases))
    one, other = DurationModel().learn_all(cases), DurationModel().learn_all(shuffled)
    assert {key: tally[:2] for key, tally in one.tallies.items()} == {
        key: tally[:2] for key, tally in other.tallies.items()
    }


def test_not_learned_is_only_predicted() -> None:
    cases = _site(1, 60)
    learned = np.arange(60) < 40
    found = replay(DurationModel(), Batch.of(cases), learned)
    assert found.model == DurationModel().learn_all(cases[:40])
    expected = [found.model.predict(case.features, case.at).loc for case in cases[40:]]
    assert found.law.loc[40:].tolist() == expected


def test_half_life_halves_the_weight() -> None:
    options = DurationOptions()
    old = FinishedCase(CaseFeatures("p"), 60.0, START)
    later = START + timedelta(days=options.half_life_days)
    model = DurationModel().learn_all([old])
    then, now = model.predict(CaseFeatures("p"), START), model.predict(CaseFeatures("p"), later)
    assert then.nu == options.nu0 + 1
    assert now.nu == pytest.approx(options.nu0 + 0.5)
    assert now.procedure_cases == 1


def test_new_habits_outweigh_old_ones() -> None:
    old = [FinishedCase(CaseFeatures("p"), 60.0, START + timedelta(days=day)) for day in range(40)]
    new = [FinishedCase(CaseFeatures("p"), 90.0, START + timedelta(days=1600 + day)) for day in range(40)]
    dated = DurationModel().learn_all(old + new)
    undated = DurationModel().learn_all([replace(case, at=None) for case in old + new])
    assert dated.predict(CaseFeatures("p")).loc > undated.predict(CaseFeatures("p")).loc + 0.1


def test_asa_effect_is_learned_with_its_interval() -> None:
    cases = _site(2, 2000, asa=True)
    model = replay(estimated(DurationModel(), Batch.of(cases)), Batch.of(cases)).model
    effects = {effect.label: effect for effect in model.regressors.effects()}
    four_asa = effects["asa = 4"]
    between = four_asa.ratio / effects["asa = 2"].ratio
    assert four_asa.low < four_asa.ratio < four_asa.high
    assert four_asa.cases == sum(("asa", "4") in case.features.covariates for case in cases)
    assert between == pytest.approx(math.exp(0.26), rel=0.04)
    four, two = (model.predict(replace(cases[0].features, covariates=(("asa", asa),))).loc for asa in "42")
    assert four - two == pytest.approx(math.log(between))


def test_no_effect_is_not_invented() -> None:
    cases = [
        replace(case, features=replace(case.features, covariates=(("dice", float(number % 6)),)))
        for number, case in enumerate(_site(3, 1500))
    ]
    model = replay(estimated(DurationModel(), Batch.of(cases)), Batch.of(cases)).model
    [effect] = model.regressors.effects()
    assert (effect.name, effect.value, effect.cases) == ("dice", None, 1500)
    assert effect.low < 1 < effect.high
    assert effect.ratio == pytest.approx(1, abs=0.02)


def test_unknown_regressor_moves_nothing() -> None:
    rows = [(("bmi", float(number)),) for number in range(20, 60)]
    regressors = replace(Regressors.prior(columns_of(rows)), gamma=np.array([0.1]))
    assert regressors.shift(()) == 0
    assert regressors.shift((("bmi", 1e9),)) == pytest.approx(0.3)
    assert columns_of([(("same", "x"),)] * 50) == ()


def test_a_class_is_a_number_where_the_file_had_numbers() -> None:
    columns = columns_of([(("asa", float(number % 4 + 1)),) for number in range(40)])
    layout = Regressors.prior(columns).layout
    assert layout.encoded((("asa", "4"),)) == pytest.approx(layout.encoded((("asa", 4.0),)))
    assert layout.encoded((("asa", "four"),)) == pytest.approx([0.0])


def test_other_names_do_not_matter_to_a_value() -> None:
    rows = [(("asa", str(number % 3)), *((("bmi", float(number)),) if number % 2 else ())) for number in range(60)]
    told = Regressors.prior(columns_of(rows, gaps=True))
    assert [column.label for column in told.columns] == ["asa = 0", "asa = 1", "asa = 2", "bmi", "bmi missing"]
    kept = told.without_gaps()
    assert [column.label for column in kept.columns] == ["asa = 0", "asa = 1", "asa = 2", "bmi"]
    assert kept.encoded(()) == pytest.approx(np.zeros(4))
    grown = kept.with_columns(columns_of([(("asa", "1"), ("side", "lr"[number % 2])) for number in range(60)]))
    assert [column.label for column in grown.columns][4:] == ["side = l", "side = r"]
    assert grown.covariance.shape == (6, 6)


def test_nightly_constants_follow_the_site() -> None:
    cases = _site(4, 900)
    found = estimated(DurationModel(), Batch.of(cases))
    chosen = found.constants
    assert (chosen.k_procedure, chosen.k_surgeon, chosen.kappa) in GRID
    assert chosen.cases == 900
    assert chosen.sigma0 == pytest.approx(0.26, abs=0.02)
    assert found.tallies == {}


def test_few_cases_keep_the_defaults() -> None:
    found = estimated(DurationModel(), Batch.of(_site(5, 499))).constants
    options = DurationOptions()
    assert (found.k_procedure, found.k_surgeon, found.kappa) == (
        options.k_procedure, options.k_surgeon, options.kappa,
    )  # fmt: skip


@pytest.mark.parametrize("asa", [False, True])
def test_export_comes_back_exactly(asa: bool) -> None:
    cases = _site(6, 600, asa=asa)
    model = replay(estimated(DurationModel(), Batch.of(cases)), Batch.of(cases)).model
    again = model_of(json.loads(json.dumps(values_of(model))))
    assert again == model
    assert again.predict(cases[0].features) == model.predict(cases[0].features)


@pytest.mark.parametrize("damage", [{"format": "x"}, {"version": 1}, {"tallies": [["p"]]}, {"first_at": "soon"}])
def test_damaged_export_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="learn"):
        model_of(values_of(DurationModel()) | damage)


def _said(cases: Sequence[FinishedCase], features: CaseFeatures) -> str:
    return explain(DurationModel().learn_all(cases), features).sentence


def test_one_sentence_for_every_start() -> None:
    cases = [FinishedCase(CaseFeatures("p", "s", "g", 90), 112.0)] * 12
    known = _said(cases, CaseFeatures("p", "s", "g", 90))
    assert known == "12 earlier cases of this procedure by this surgeon, typical 112, booked 90"
    assert _said(cases, CaseFeatures("p", "t")) == (
        "12 earlier cases of this procedure, typical 112, none by this surgeon, no booked time"
    )
    assert _said(cases, CaseFeatures("q", "s", "g", 90)).startswith("no earlier case of this procedure, 12 earlier")
    assert _said(cases[:1], CaseFeatures()) == "procedure not known, 1 earlier case here, typical 112, no booked time"
    assert _said([], CaseFeatures("p", booked_min=30)) == "no earlier case, 75 assumed, booked 30"


def test_numbers_behind_the_sentence() -> None:
    model = DurationModel().learn_all([FinishedCase(CaseFeatures("p", "s", "g", 90), 112.0)] * 12)
    why = explain(model, CaseFeatures("p", "s", "g", 90))
    law = model.predict(CaseFeatures("p", "s", "g", 90)).distribution
    assert why.p50_min == pytest.approx(law.median)
    assert why.p10_min < why.p50_min < why.p90_min
    assert why.weight_of_booking == pytest.approx(3 / why.weight)
    assert (why.pair_cases, why.procedure_cases, why.specialty_cases) == (12, 12, 12)
    assert why.pair_typical_min == pytest.approx(112)


def _urgent_site(seed: int, count: int, ratio: float) -> list[FinishedCase]:
    """One in five is urgent; its ln minutes vary `ratio` times as much, around the same mean."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        urgent = rng.random() < 0.2
        y = 4.5 + 0.2 * rng.standard_normal() * (ratio if urgent else 1.0)
        told = (("urgency", "urgent" if urgent else "elective"),)
        features = CaseFeatures(f"p{number % 5}", "s", "g", None, told)
        made.append(FinishedCase(features, math.exp(y), START + timedelta(hours=number)))
    return made


def _scale_of(model: DurationModel, urgency: str) -> float:
    return model.predict(CaseFeatures("p1", "s", "g", None, (("urgency", urgency),))).distribution.scale


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_width_follows_a_characteristic(ratio: float) -> None:
    batch = Batch.of(_urgent_site(4, 2500, ratio))
    model = replay(estimated(DurationModel(), batch), batch).model
    assert _scale_of(model, "urgent") / _scale_of(model, "elective") == pytest.approx(ratio, rel=0.12)
    assert model_of(json.loads(json.dumps(values_of(model)))) == model


def test_few_cases_widen_little() -> None:
    batch = Batch.of(_urgent_site(4, 60, 2.0))
    model = replay(estimated(DurationModel(), batch), batch).model
    assert _scale_of(model, "urgent") == pytest.approx(_scale_of(model, "elective"))


def test_first_booking_of_a_procedure_is_trusted_less() -> None:
    """Once bookings are known to err: with nothing known the band is that of the noise alone."""
    known = [FinishedCase(CaseFeatures("p", "s", "g", 60.0), 60.0) for _ in range(30)]
    booked, unbooked = CaseFeatures("new", "s", "g", 60.0), CaseFeatures("new", "s", "g")
    blank = DurationModel()
    plain = replace(blank, constants=replace(blank.constants, unseen=1.0))
    ratios = []
    for features in (booked, unbooked):
        wide, narrow = blank.learn_all(known).predict(features), plain.learn_all(known).predict(features)
        ratios.append((wide.s / narrow.s) ** 2)
    assert ratios == pytest.approx([1 + 0.25 * 30 / 40, 1])
    assert blank.predict(booked) == plain.predict(booked)
