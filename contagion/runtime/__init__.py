"""How thousands of runs share one compiled network: in this process, in several, or on a Dask cluster, with the same bytes.

``tasks`` does the work, as its ``plan`` says where; a ``ledger`` keeps what is finished, so that an interrupted run goes on
where it stopped; ``share`` puts a network where every worker can map it into memory.
"""
