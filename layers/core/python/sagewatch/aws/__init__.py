"""The ports on AWS: the only importers of botocore, one module a service."""
