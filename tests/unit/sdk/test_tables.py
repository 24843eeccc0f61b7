"""DataFrames keep what was read: integers beside missing values, whatever their size."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.api.views.series import Series
from runstream.api.views.table import Table


@dataclass(frozen=True)
class One:
    value: Any


kinds = [
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
]


@settings(deadline=None, max_examples=examples(200))
@given(st.sampled_from(kinds).flatmap(lambda kind: st.lists(kind | st.none(), max_size=6)))
def test_values_come_back_as_they_were(values: list[Any]) -> None:
    column = Table([One(value) for value in values]).to_pandas()["value"] if values else pd.Series(dtype=object)
    found = [None if pd.isna(value) else value for value in column]
    assert found == values
    if (
        None in values
        and {type(value) for value in values} == {int, type(None)}
        and max(map(abs, filter(None, values)), default=0) < 2**62
    ):
        assert str(column.dtype) == "Int64"


def test_epochs_of_series_stay_integers() -> None:
    table = pa.table({"step": [1, 2], "epoch": pa.array([None, 2**53 + 1], pa.int64())})
    frame = Series[Any](list, lambda: table).to_pandas()
    assert frame["epoch"].tolist()[1] == 2**53 + 1
    assert frame["step"].dtype == "int64"
