"""Data quality: what a data set looks like, what a baseline expects of it, and where the two part.

In: capture files, CSV, JSON Lines, Parquet, and the ``statistics.json`` and ``constraints.json`` of SageMaker Model
Monitor or of this package. Out: the same files and ``constraint_violations.json``. Formats: CONTRACTS §1-5.

``statistics``, ``constraints`` and ``violations`` read and write the files and need msgspec alone; everything that
touches data needs numpy and pyarrow (``pip install sagewatch[quality]``).
"""
