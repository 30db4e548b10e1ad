"""Other people's engines, measured beside this one: an environment of their own, a small program for each."""
