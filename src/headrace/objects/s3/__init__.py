"""Object store `s3:`: a bucket at Amazon S3, or at a server that speaks its protocol.

    s3://my-bucket/uploads?region=eu-west-1
    s3://my-bucket?region=us-east-1&endpoint=http://minio:9000&public_endpoint=https://files.example.com

`endpoint` is another one than Amazon's, addressed by paths; `public_endpoint`: as clients reach it, where that is
another way than ours. Credentials are those that boto3 finds: the environment, a profile, a role.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

from __future__ import annotations

from headrace.objects import ObjectStore
from headrace.objects.s3.address import parsed
from headrace.objects.s3.requests import Requests
from headrace.objects.s3.store import S3


def open_objects(url: str) -> ObjectStore:
    """The store of an address. Raises ConfigError; connects when it is first used."""
    return S3(Requests(*parsed(url)))
