"""This tests waits that grow from try to try."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.waits import Waits


def test_waits_double_up_to_the_longest() -> None:
    waits = Waits(first_s=0.5, longest_s=3.0)
    assert [waits.after(failures) for failures in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_chance_never_makes_a_wait_longer_nor_shorter_than_its_share(failures: int, jitter: float) -> None:
    whole_s = Waits(0.5, 3.0).after(failures)
    assert whole_s * (1 - jitter) <= Waits(0.5, 3.0, jitter).after(failures) <= whole_s
