"""The ports on AWS: the only importers of boto3, one module a service."""
