"""The ground floor: checks of arguments, streams of samples, threads."""

import threading

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from rmt import checks, parallel
from rmt.checks import InputError
from rmt.streams import Streams, streams


@pytest.mark.parametrize("value", [3, 3.0, np.int8(3), np.uint64(3), np.float32(3), np.array(3)[()]])
def test_integer_accepts_integral_numbers(value):
    result = checks.integer("n", value)
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), 2.5, 0, -1, np.nan, np.inf, "3", None, 3j, [3], np.array([3])])
def test_integer_rejects_the_rest(value):
    with pytest.raises(InputError, match=r"^n must be an integer >= 1, got"):
        checks.integer("n", value)


def test_integer_bounds():
    assert checks.integer("n", 1e12) == 10**12
    assert checks.integer("n", 0, minimum=0) == 0
    assert checks.integer("n", 7, maximum=7) == 7
    with pytest.raises(InputError, match="from 1 to 7, got 8"):
        checks.integer("n", 8, maximum=7)


@given(st.integers(-(10**30), 10**30))
@settings(deadline=None, derandomize=True)
def test_integer_is_exact(value):
    assert checks.integer("n", value, minimum=-(10**30)) == value


def test_real():
    assert checks.real("x", np.float32(0.5)) == 0.5
    assert type(checks.real("x", 1)) is float
    assert checks.real("x", 1, at_least=1, at_most=1) == 1.0
    for value in (np.nan, np.inf, -np.inf, "1", None, True, 1j, np.complex128(1)):
        with pytest.raises(InputError, match=r"^x must be a finite number, got"):
            checks.real("x", value)


@pytest.mark.parametrize(
    ("bounds", "value", "words"),
    [
        ({"above": 0}, 0, "a finite number > 0, got 0"),
        ({"below": 1}, 1.0, "a finite number < 1, got 1.0"),
        ({"at_least": 0}, -1, "a finite number >= 0, got -1"),
        ({"at_most": 2}, 3, "a finite number <= 2, got 3"),
        ({"above": 0, "below": 1}, 2, "a finite number > 0 and < 1, got 2"),
    ],
)
def test_real_bounds(bounds, value, words):
    with pytest.raises(InputError) as error:
        checks.real("alpha", value, **bounds)
    assert str(error.value) == f"alpha must be {words}"


def test_choice_and_field():
    assert checks.field("complex") == "complex"
    for value in ("Real", None, 1, ["real"]):
        with pytest.raises(InputError, match="field must be one of 'real', 'complex'"):
            checks.field(value)


def test_input_error_is_a_value_error_and_its_message_is_short():
    with pytest.raises(ValueError, match="got") as error:
        checks.choice("method", "x" * 10_000, ("a", "b"))
    assert len(str(error.value)) < 200


def test_memory_names_what_asks_for_too_much(monkeypatch):
    assert checks.physical_memory() > 2**28
    monkeypatch.setattr(checks, "physical_memory", lambda: 2.0**33)
    checks.memory("a matrix", 2**33, n=3)
    with pytest.raises(InputError) as error:
        checks.memory("the result", 2**34, steps=5000, size=3)
    assert str(error.value) == (
        "steps = 5,000 and size = 3: the result would take 16.0 GiB, "
        "and must fit into the 8.0 GiB of memory of this machine"
    )


def test_generator():
    expected = np.random.default_rng(5).random()
    assert checks.generator(5).random() == expected
    assert checks.generator(np.random.SeedSequence(5)).random() == expected
    mine = np.random.default_rng(5)
    assert checks.generator(mine) is mine
    for value in ("seed", -1, 1.5, np.random.RandomState):
        with pytest.raises(InputError, match="rng must be"):
            checks.generator(value)


def test_array():
    assert checks.array("x", [1, 2]).dtype == np.float64
    assert checks.array("x", np.array([1], np.complex64)).dtype == np.complex128
    same = np.zeros(3)
    assert checks.array("x", same) is same
    bad = [[[1], [1, 2]], ["a"], [None], [np.nan], [np.inf], [1j * np.inf], np.array(["2020"], "datetime64[Y]")]
    for value in bad:
        with pytest.raises(InputError, match=r"^x must be"):
            checks.array("x", value)
    with pytest.raises(InputError, match=r"1 dimension\(s\), got shape \(1, 1\)"):
        checks.array("x", [[1]], ndim=1)


def test_square():
    assert checks.square("W", np.zeros((2, 3, 3))).shape == (2, 3, 3)
    for value in (1.0, [1.0], np.zeros((2, 3)), np.zeros((0, 0)), np.full((2, 2), np.nan)):
        with pytest.raises(InputError, match=r"^W must"):
            checks.square("W", value)


# streams


@given(st.integers(0, 2**64), st.integers(1, 50), st.integers(1, 50))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_a_stream_depends_on_rng_and_index_only(seed, size, other):
    index = min(size, other) - 1
    assert streams(seed, size)[index].random() == streams(seed, other)[index].random()


def test_streams_are_a_sequence():
    some = streams(0, 3)
    assert len(some) == 3
    assert [g.random() for g in some] == [some[i].random() for i in range(3)]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            some[index]


@pytest.mark.parametrize("root", [0, 7, 2**64 + 1, 2**127 + 2**40, 2**128 - 1])
def test_streams_are_those_of_numpys_seed_sequence(root):
    for index in (0, 1, 2**33):
        expected = np.random.PCG64DXSM(np.random.SeedSequence(root, spawn_key=(index,)))
        assert Streams(root, 2**40)[index].bit_generator.state == expected.state


def test_the_next_call_with_one_generator_differs():
    rng = np.random.default_rng(0)
    first, second = streams(rng, 2), streams(rng, 2)
    assert first.root != second.root
    assert first[0].random() != second[0].random()


def test_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    streams(None, 2)[1].random()
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_streams_are_uniform_and_independent():
    drawn = np.array([g.random(2) for g in streams(1, 4000)])
    oracles.check_law(drawn, stats.uniform.cdf)
    centred = drawn - 0.5
    oracles.check_mean(centred[:, 0] * centred[:, 1], 0.0)
    oracles.check_mean(centred[1:, 0] * centred[:-1, 0], 0.0)


# threads


def test_thread_map_keeps_order_and_uses_threads(monkeypatch):
    monkeypatch.setenv("RMT_NUM_THREADS", "3")
    assert parallel.threads() == 3
    barrier = threading.Barrier(3, timeout=20)

    def square(x):
        barrier.wait()  # passes only where three threads meet
        return x * x

    assert parallel.thread_map(square, range(9), 9) == [x * x for x in range(9)]
    assert parallel.thread_map(lambda x: threading.current_thread(), [1], 1) == [threading.main_thread()]
    assert parallel.thread_map(abs, [], 0) == []


def test_thread_map_holds_blas_at_one_thread_and_lets_go():
    def blas_threads(_=None):
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    before = blas_threads()
    assert parallel.thread_map(blas_threads, range(3), 3) == [{1}] * 3
    assert blas_threads() == before


def test_one_blas_thread_lasts_until_the_last_thread_leaves():
    def blas_threads():
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    with threadpool_limits(3, "blas"):
        assert blas_threads() == {3}
        first, second = parallel.one_blas_thread(), parallel.one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        with threadpool_limits(2, "blas"), parallel.one_blas_thread():
            assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {3}


def test_thread_map_passes_errors_on():
    with pytest.raises(ZeroDivisionError):
        parallel.thread_map(lambda x: 1 / x, [1, 0, 2], 3)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_bad_number_of_threads_is_named(monkeypatch, text):
    monkeypatch.setenv("RMT_NUM_THREADS", text)
    with pytest.raises(InputError, match="RMT_NUM_THREADS"):
        parallel.threads()


def test_threads_by_default(monkeypatch):
    monkeypatch.delenv("RMT_NUM_THREADS", raising=False)
    assert parallel.threads() >= 1


def test_finite_arrays_whose_sum_is_not():
    large = np.full(4, 1e308)
    assert checks.array("x", large) is large
    for bad in (np.inf, -np.inf, np.nan, 1j * np.inf):
        with pytest.raises(checks.InputError, match="x must be finite, got an array with NaN or infinity"):
            checks.array("x", np.array([1.0, bad]))
    with pytest.raises(checks.InputError, match="x must be finite"):
        checks.array("x", np.array([np.inf, -np.inf, 1e308]))
