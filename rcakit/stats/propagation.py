"""How near is every account to the ones we know, along what they share?"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["personalised_pagerank"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def personalised_pagerank(
    edges: tuple[Ints, Ints],
    weight: Floats,
    seeds: Ints,
    *,
    n_accounts: int,
    damping: float = 0.85,
    tol: float = 1e-10,
) -> Floats:
    """Walk from the seeds over accounts and attributes; return where the walk spends its time.

    Parameters
    ----------
    edges
        Account and attribute of every edge, each once.
    weight
        Weight per attribute, shape ``(attributes,)``; rare attributes are followed more often.
    seeds
        Accounts where the walk starts and restarts.
    n_accounts
        Accounts are 0 … n_accounts - 1.
    damping
        Chance to walk on instead of starting anew.
    tol
        Stop when the visits change by less in total.

    Returns
    -------
    Floats
        Share of visits per account, shape ``(n_accounts,)``, sums to 1.

    Notes
    -----
    Two steps of the bipartite walk are one step between accounts. Personalised PageRank: Jeh and
    Widom (2003, WWW, section 2). Accounts without edges send the walk back to the seeds. The number
    is a rank, not a probability of being bad.
    """
    import scipy.sparse as sp

    account, attribute = edges
    table = sp.csr_array((weight[attribute], (account, attribute)), shape=(n_accounts, len(weight)))
    out_account: NDArray[np.float64] = np.asarray(table.sum(axis=1)).ravel()
    degree = np.bincount(attribute, minlength=len(weight)).astype(np.float64)
    there = sp.csr_array(
        (np.ones(len(account)), (account, attribute)), shape=(n_accounts, len(weight))
    )
    restart = np.zeros(n_accounts)
    restart[seeds] = 1.0 / max(len(seeds), 1)
    rank = restart.copy()
    inverse = np.divide(1.0, out_account, out=np.zeros(n_accounts), where=out_account > 0)
    spread = np.divide(1.0, degree, out=np.zeros(len(weight)), where=degree > 0)
    n_steps = int(np.ceil(np.log(tol) / np.log(damping))) + 1
    for _ in range(n_steps):
        walked = there @ (spread * (table.T @ (rank * inverse)))
        after = damping * walked
        after += (1.0 - after.sum()) * restart
        change = float(np.abs(after - rank).sum())
        rank = after
        if change < tol:
            break
    return rank
