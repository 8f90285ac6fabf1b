"""Whether the active scoring model still fits the store."""

from __future__ import annotations

import orjson
import pytest

from identity.model import Instant
from identity.model_fit import FIRST_SOURCES_US, ModelFit, count_customers, find_new_sources, read_model_fit
from identity.service import Identity
from matching.scoring_model import ScoringModel, load_scoring_model
from tests.identity.stores import Place, stated, tell, withdrawn
from tests.promises.small_model import small_model
from tests.promises.world import BEGIN, Clock

DAY = 86_400_000_000


def fit_of(identity: Identity, **changes: object) -> ModelFit:
    """Return how the small model fits; with `changes` in its document, as if it had been stored so."""
    model = changed_model(**changes) if changes else small_model()
    if changes:
        with identity.store.write() as tx:
            tx.update_rows(
                "scoring_model",
                ("version",),
                ("version", "document"),
                [(small_model().version, model.version, model.document)],
            )
    limit = 2 * model.population + 1
    return read_model_fit(identity.store, model, count=lambda: count_customers(identity.store, limit=limit))


def changed_model(**changes: object) -> ScoringModel:
    return load_scoring_model(orjson.dumps(orjson.loads(small_model().document) | changes))


def new_sources(
    put_at: dict[str, Instant],
    *,
    named: tuple[str, ...] = (),
    active_since: Instant = 0,
    first_record_at: Instant | None = None,
) -> list[str]:
    return find_new_sources(
        put_at,
        named=named,
        active_since=active_since,
        first_put_at=min(put_at.values(), default=None),
        first_record_at=first_record_at,
    )


# ------------------------------------------------------------------------------------------- population


def test_a_store_with_twice_the_customers_fits_and_one_more_has_outgrown_the_model(
    identity: Identity,
) -> None:
    tell(identity, *(stated(str(n), email=(f"p{n}",)) for n in range(4)))

    enough = fit_of(identity, population=2)
    tell(identity, stated("4", email=("p4",)))
    too_many = read_model_fit(
        identity.store,
        changed_model(population=2),
        count=lambda: count_customers(identity.store, limit=5),
    )

    assert (enough.customers, enough.is_outgrown, enough.is_out_of_date) == (4, False, False)
    assert (too_many.customers, too_many.is_outgrown, too_many.is_out_of_date) == (5, True, True)


def test_customers_are_counted_not_records_and_not_those_that_are_gone(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=("ann",)) for n in range(5)))
    tell(identity, stated("x", email=("bob",)), stated("y", email=("eve",)))
    tell(identity, withdrawn("y"))

    assert count_customers(identity.store, limit=100) == 2


def test_counting_stops_at_its_limit(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=(f"p{n}",)) for n in range(9)))

    assert count_customers(identity.store, limit=3) == 3


# ---------------------------------------------------------------------------------------------- sources


def test_a_new_store_says_nothing_of_its_sources(identity: Identity) -> None:
    assert fit_of(identity) == ModelFit(small_model().version, 0, 100, 0, ())


def test_whoever_tries_the_service_source_after_source_is_not_told_that_the_model_is_out_of_date(
    place: Place,
) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    tell(identity, stated("1", email=("ann",)))
    for number in range(3):
        clock.now += 9 * DAY
        identity.put_source(f"later{number}", {"domain": "sales"}, author="test")
        tell(identity, stated("1", f"later{number}", email=("ann",)))

    assert fit_of(identity).sources_new == ()


def test_a_source_put_long_after_the_first_record_is_new_once_it_states_something(place: Place) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    tell(identity, stated("1", email=("ann",)))
    clock.now += 31 * DAY
    identity.put_source("erp", {"domain": "sales"}, author="test")
    identity.put_source("crm", {"domain": "service"}, author="test")

    silent = fit_of(identity)
    tell(identity, stated("1", "erp", email=("bob",)))
    stating = fit_of(identity)
    identity.retire_source("erp", author="test")

    assert (silent.sources_new, silent.is_out_of_date) == ((), False)
    assert (stating.sources_new, stating.is_out_of_date) == (("erp",), True)
    assert fit_of(identity).sources_new == ()


def test_a_source_that_the_model_names_is_not_new_to_it(place: Place) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    tell(identity, stated("1", email=("ann",)))
    clock.now += 31 * DAY
    identity.put_source("erp", {"domain": "sales"}, author="test")
    tell(identity, stated("1", "erp", email=("bob",)))

    named = fit_of(identity, source_priors=[{"left": "crm", "right": "erp", "millibits": -9000}])

    assert named.sources_new == ()


@pytest.mark.parametrize(("put_at", "is_new"), [(99, False), (100, False), (101, True)])
def test_a_model_that_came_when_there_were_sources_knows_those_and_no_later_one(
    put_at: Instant, is_new: bool
) -> None:
    found = new_sources({"crm": 1, "erp": put_at}, active_since=100, first_record_at=BEGIN)

    assert found == (["erp"] if is_new else [])


@pytest.mark.parametrize(("late_us", "is_new"), [(0, False), (1, True)])
def test_a_model_that_was_there_before_all_sources_knows_those_of_the_first_thirty_days(
    late_us: int, is_new: bool
) -> None:
    put_at = {"crm": 100, "erp": BEGIN + FIRST_SOURCES_US + late_us}

    found = new_sources(put_at, active_since=100, first_record_at=BEGIN)

    assert found == (["erp"] if is_new else [])


def test_before_the_first_record_no_source_is_new() -> None:
    assert new_sources({"crm": 5, "erp": 10**17}, active_since=4) == []
