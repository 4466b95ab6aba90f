"""A local SageMaker that really hosts models and runs processing jobs: control plane, runtime, capture, events.

It speaks SageMaker's own protocols (botocore's service model checks both directions), so clients cannot tell it
from the real one. Read `service.py` first; `endpoints.py` and `processing.py` hold the two state machines.
"""
