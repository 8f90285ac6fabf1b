"""Facts of values are those of the values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from identity.bulk.features import Features, Texts


def test_facts_of_texts() -> None:
    values = ["", "ann lee", "x" * 70 + "@", "1980-05-12", "Ä-9"]

    texts = Texts.of(pa.array(["skipped", *values]).slice(1))

    assert texts.lengths.tolist() == [0, *(len(value.encode()) for value in values)]
    assert texts.counts.sum(axis=1).tolist() == [0, 0, 7, 64, 10, 4]
    assert texts.counts[2, [0, 13, 11, 4, 38]].tolist() == [1, 2, 1, 2, 1]
    assert bytes(texts.heads[4]) == b"1980-05-12"
    assert bytes(texts.tails[2]) == b"eel nna\0"
    assert texts.has_space(np.arange(6, dtype=np.int32)).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_columns_that_are_compared_share_their_codes() -> None:
    features = Features([["given", "name_tokens"], ["phones"]])
    kind = pa.list_(pa.string())
    for given, tokens, phones in (
        (["ann", None], [["ann", "lee"], []], [["1"], None]),
        (["lee"], [["a", "b", "c", "lee"]], [["2", "1"]]),
    ):
        features.add(
            pa.table(
                {
                    "given": pa.array(given, pa.string()),
                    "name_tokens": pa.array(tokens, kind),
                    "phones": pa.array(phones, kind),
                }
            )
        )
    features.seal()

    given_column, tokens_column, phones_column = (
        features.columns[name] for name in ("given", "name_tokens", "phones")
    )

    ann, none, lee = given_column.codes[:, 0].tolist()
    assert none == 0
    assert tokens_column.codes[:2].tolist() == [[ann, lee, 0], [0, 0, 0]]
    assert lee not in tokens_column.codes[2].tolist()
    assert tokens_column.has_more.tolist() == [False, False, True]
    assert phones_column.codes[2, 1] == phones_column.codes[0, 0]
    assert given_column.texts is tokens_column.texts
