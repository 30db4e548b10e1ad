"""The `cartridge` command and what every service stands on: settings, errors, logs, telemetry, object store.

In: the environment and the command line. Out: one process of the platform, or an answer to a person.
Invariant: only `command` and the modules that it dispatches to import the other packages; the foundation
(`settings`, `errors`, `logs`, `telemetry`, `objects`) imports nothing of the project but itself.
"""
