"""Headers of requests that say who reads."""

SECRET_HEADER = "X-Headrace-Secret"  # noqa: S105 - the name of it
AS_USER, AS_GROUPS = "X-Headrace-As-User", "X-Headrace-As-Groups"
"""As whom an operator wants to read."""
