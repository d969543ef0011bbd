from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.archives.sparse import MissingBytes, SparseFile

_WHOLE = bytes(range(256)) * 2

_SEGMENTS = st.lists(
    st.tuples(st.integers(0, len(_WHOLE) - 1), st.integers(1, 200)).map(
        lambda span: (span[0], _WHOLE[span[0] : span[0] + span[1]])
    ),
    max_size=8,
)
_READS = st.lists(st.tuples(st.integers(0, len(_WHOLE) + 20), st.integers(-1, 300)), min_size=1, max_size=8)


@given(segments=_SEGMENTS, reads=_READS)
def test_a_read_equals_the_whole_file_or_names_bytes_that_are_missing(
    segments: list[tuple[int, bytes]], reads: list[tuple[int, int]]
) -> None:
    fetched = {position for offset, data in segments for position in range(offset, offset + len(data))}
    sparse, whole = SparseFile(len(_WHOLE), segments), io.BytesIO(_WHOLE)
    for offset, size in reads:
        whole.seek(offset)
        expected = whole.read(size)
        assert sparse.seek(offset) == offset
        try:
            assert sparse.read(size) == expected
        except MissingBytes as missing:
            gap = set(range(missing.first, missing.last + 1))
            assert gap
            assert gap <= set(range(offset, offset + len(expected)))
            assert not gap & fetched
            assert set(range(offset, missing.first)) <= fetched  # noqa: PT017  # either outcome is right
            assert sparse.tell() == offset
        else:
            assert set(range(offset, offset + len(expected))) <= fetched
            assert sparse.tell() == whole.tell()


@given(segments=_SEGMENTS)
def test_fetching_what_is_missing_always_ends_with_the_whole_file(segments: list[tuple[int, bytes]]) -> None:
    for _ in range(len(segments) + 2):
        try:
            assert SparseFile(len(_WHOLE), segments).read() == _WHOLE
            return
        except MissingBytes as missing:
            segments = [*segments, (missing.first, _WHOLE[missing.first : missing.last + 1])]
    pytest.fail("gaps remain")


def test_it_seeks_from_the_start_the_position_and_the_end() -> None:
    file = io.BufferedReader(SparseFile(len(_WHOLE), [(500, _WHOLE[500:])]), buffer_size=4)
    assert file.seek(-12, io.SEEK_END) == 500
    assert file.read(2) == _WHOLE[500:502]
    assert file.seek(3, io.SEEK_CUR) == 505
    assert file.read() == _WHOLE[505:]
    with pytest.raises(ValueError, match="negative"):
        SparseFile(4, []).seek(-1)
