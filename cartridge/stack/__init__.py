"""The local stack: installs, starts, watches and stops everything that `./just up` runs."""
