# What Headrace uses of lxml, which carries no types.
