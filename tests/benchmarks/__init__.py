"""Benchmarks: each work is shown beside a reference that is measured in the same run, as a ratio of both.

``python -m tests.benchmarks`` measures, ``--smoke`` only shows at tiny sizes that everything runs and agrees. A module with a
function ``rows`` is a group of benchmarks; its name is what ``--only`` takes. Seconds are medians of several runs, the two sides
taking turns, since a shared machine changes its pace; so a ratio says more than its seconds. A time is reported, never tested:
only sides that disagree make the command fail.
"""
