"""Routes that take documents in, change and delete them."""
