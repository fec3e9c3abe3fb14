"""The simulator: a process of its own that plays the airline, and knows nothing but its SQL and its policy files."""
