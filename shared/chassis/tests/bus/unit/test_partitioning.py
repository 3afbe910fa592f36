import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.bus.partitioning import murmur2, partition_of

# From Apache Kafka's own UtilsTest.
KAFKAS_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "hashed"), KAFKAS_VECTORS.items())
def test_murmur2_is_kafkas(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed


@given(st.binary(min_size=1), st.integers(1, 1000))
def test_a_partition_is_one_of_them(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


def test_the_sign_bit_is_dropped_as_kafka_does_it() -> None:
    assert partition_of(b"21", 12) == (-973932308 & 0x7FFFFFFF) % 12


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        partition_of(b"", 3)
