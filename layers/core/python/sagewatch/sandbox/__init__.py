"""A local AWS on 127.0.0.1: what `sagewatch demo`, `sandbox up` and the end-to-end tests stand on.

`LocalAws` (local_aws.py) starts moto's server with its gaps filled, a SageMaker that really hosts models and
runs processing jobs, and a Lambda runtime that polls the deployed queues. Product code runs unchanged: only
endpoint URLs differ. Nothing listens on another address, nothing calls out.
"""
