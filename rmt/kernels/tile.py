"""A tile of a product of matrices, written in the language of LLVM: by itself it keeps fewer sums in registers."""

from __future__ import annotations

from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# A tile is ROWS rows of a matrix times VECTORS vectors. Its 3 x 4 sums, with what they are made of, just fill the
# vector registers of AVX2; those of AVX-512 are twice as long, and as many are enough to hide how long a sum takes.
_FEATURES = llvmlite.binding.get_host_cpu_features()
LANES = 8 if _FEATURES.get("avx512f") else 4 if _FEATURES.get("avx") else 2
ROWS, VECTORS = 3 * LANES, 4
# Columns in a turn of the loop. With one, a third of the instructions only keep the loop going, which costs nothing on
# an idle core, and a fifth of the time where a second thread shares it.
TURN = 4
DOUBLE = 8  # bytes


@intrinsic
def add_tile(typing: Any, panel: Any, group: Any, depth: Any, out: Any, stride: Any, ahead: Any, pace: Any) -> Any:
    """Add to out[s, r] the sum of panel[k, r] * group[k, s] over k < depth, for r < ROWS and s < VECTORS.

    All arguments are integers: `panel`, `group` and `out` addresses of doubles, `stride` the bytes between rows of out.
    Meanwhile memory from `ahead` on is asked for, `pace` bytes for each k, which another tile is to find in the cache.
    """
    return types.void(*[types.intp] * 7), _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    panel, group, depth, out, stride, ahead, pace = arguments
    integer, lane, double, byte = panel.type, ir.IntType(32), ir.DoubleType(), ir.IntType(8)
    vector = ir.VectorType(double, LANES)
    undefined, everywhere = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)

    def at(kind: Any, address: Any, offset: int) -> Any:
        return builder.inttoptr(builder.add(address, integer(offset)), kind.as_pointer())

    places = range(0, DOUBLE * ROWS, DOUBLE * LANES)  # of the vectors of a column, in bytes
    sums = [[cgutils.alloca_once(builder, vector) for _ in places] for _ in range(VECTORS)]  # type: ignore[no-untyped-call]
    for row in sums:
        for total in row:
            builder.store(vector([0.0] * LANES), total)
    prefetch = builder.module.declare_intrinsic(
        "llvm.prefetch", [byte.as_pointer()], ir.FunctionType(ir.VoidType(), [byte.as_pointer(), lane, lane, lane])
    )

    def request(address: Any, cache: int) -> None:
        builder.call(prefetch, [at(byte, address, 0), lane(0), lane(4 - cache), lane(1)])  # to read, data

    def add_columns(first: Any, count: int) -> None:
        columns = builder.add(panel, builder.mul(first, integer(DOUBLE * ROWS)))
        factors = builder.add(group, builder.mul(first, integer(DOUBLE * VECTORS)))
        for k in range(count):
            entries = [builder.load(at(vector, columns, DOUBLE * ROWS * k + place), align=DOUBLE) for place in places]
            for s, row in enumerate(sums):
                factor = builder.load(at(double, factors, DOUBLE * (VECTORS * k + s)))
                factor = builder.insert_element(undefined, factor, lane(0))
                factor = builder.shuffle_vector(factor, undefined, everywhere)
                for total, entry in zip(row, entries, strict=True):
                    term = builder.fmul(entry, factor, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), term, flags=("contract",)), total)

    for s in range(VECTORS):
        for place in (0, DOUBLE * ROWS - 1):  # the lines that the sums go to
            request(builder.add(out, builder.add(builder.mul(stride, integer(s)), integer(place))), 1)
    turns = builder.udiv(depth, integer(TURN))
    with cgutils.for_range(builder, turns) as loop:
        first = builder.mul(loop.index, integer(TURN))
        for k in range(0, TURN, 2):  # two of `pace` are a line of the cache where there are three groups of vectors
            request(builder.add(ahead, builder.mul(builder.add(first, integer(k)), pace)), 2)
        add_columns(first, TURN)
    whole = builder.mul(turns, integer(TURN))
    with cgutils.for_range(builder, builder.sub(depth, whole)) as loop:
        add_columns(builder.add(whole, loop.index), 1)
    for s, row in enumerate(sums):
        address = builder.add(out, builder.mul(stride, integer(s)))
        for place, total in zip(places, row, strict=True):
            target = at(vector, address, place)
            builder.store(builder.fadd(builder.load(target, align=DOUBLE), builder.load(total)), target, align=DOUBLE)
    return context.get_dummy_value()
