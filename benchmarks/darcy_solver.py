"""Time the solver of Darcy's equation against a sparse factorisation of the same system.

    python benchmarks/darcy_solver.py [--quick] [--json FILE]

Both solve the recipe's coefficients (12 and 3) on grids of one sample; assembly of the sparse
matrix is not counted, all setting up of the multigrid is. Minimum over interleaved repeats,
process-CPU time on one thread. ``sample`` is all of one sample: field, solution, no writing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from darcy_sparse import matrix
from record import write
from scipy.sparse.linalg import spsolve

from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.tasks.generated.darcy import DarcyFlow, permeability
from dashzoo_search.tasks.generated.multigrid import solve_darcy

SIZES = (85, 211, 421)  # the last is the recipe's
CPU = torch.device("cpu")


def main() -> None:
    """Time every size, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="85 only")
    parser.add_argument("--json", type=Path, help="write results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in SIZES[: 1 if options.quick else None]:
        rows.append(measure(size, budget=0.5 if options.quick else 5.0))
        print(rows[-1], flush=True)
    write(options.json, CPU, rows=rows)


def measure(size: int, *, budget: float) -> dict[str, Any]:
    """Milliseconds of both solvers, their ratio, and how far their solutions are apart."""
    a = permeability(np.random.default_rng(0), size)
    system = matrix(a)
    source = np.ones(system.shape[0])
    runs = {
        "spsolve": lambda: spsolve(system, source),
        "multigrid": lambda: solve_darcy(a),
        "sample": lambda: DarcyFlow(size=size, stride=1).draw([np.random.default_rng(0)]),
    }
    timed = fastest(runs, CPU, budget=budget)
    expected = spsolve(system, source)
    difference = solve_darcy(a)[1:-1, 1:-1].ravel() - expected
    return {
        "size": size,
        "ms": {name: round(1000 * seconds, 2) for name, seconds in timed.items()},
        "spsolve_over_multigrid": round(timed["spsolve"] / timed["multigrid"], 1),
        "relative_difference": float(np.linalg.norm(difference) / np.linalg.norm(expected)),
    }


if __name__ == "__main__":
    main()
