"""The demo: an airline with its own database and written policies, a simulator that plays it, and a desk to change it.

Nothing outside this package knows of it except the command line, which starts `headrace demo`.
"""
