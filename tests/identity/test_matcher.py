"""What is compiled from a scoring model comes of that one only."""

from __future__ import annotations

from identity.contract import read_contract
from identity.matcher import compile_matcher
from identity.prepare import PreparedCommand
from identity.store_sql.sealing import Sealer
from matching.scoring_model import ScoringModel
from tests.identity.stores import STORE_KEY, stated
from tests.promises.small_model import small_model, small_model_but

CONTRACT = read_contract("crm", {"domain": "sales"}, version=1)


def prepare(model: ScoringModel) -> PreparedCommand:
    matcher = compile_matcher(model, sealer=Sealer(STORE_KEY))
    return matcher.preparer.prepare(stated("1", email=("ann",), city=("ulm",)), CONTRACT)


def test_a_command_says_by_which_model_it_was_prepared() -> None:
    matcher = compile_matcher(small_model(), sealer=Sealer(STORE_KEY))

    assert matcher.version == prepare(small_model()).model_version == small_model().version
    assert matcher.partitioner.model is matcher.model


def test_keys_are_revealed_as_they_were_made() -> None:
    matcher = compile_matcher(small_model(), sealer=Sealer(STORE_KEY))
    prepared = prepare(small_model())
    assert prepared.profile is not None

    revealed = matcher.reveal(prepared.profile)

    assert set(revealed) == set(prepared.hashes)
    key = next(key for key, found in revealed.items() if found == ("city", "ulm"))
    assert matcher.key_rules.find(key, prepared.profile) == "city"


def test_another_model_prepares_otherwise() -> None:
    other = small_model_but(stop_values={"city": ["ulm"]})

    assert len(prepare(other).hashes) == len(prepare(small_model()).hashes) - 1
    assert prepare(other).model_version == other.version
