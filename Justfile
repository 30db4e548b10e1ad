# Cartridge. ./just makes the environment that these recipes run in; `just RECIPE` works as well.

set shell := ["sh", "-eu", "-c"]

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export PYTHONUNBUFFERED := "1"
# Compiled modules are kept, whatever the shell says: importing torch takes 2 s with them and 4 s without.
export PYTHONDONTWRITEBYTECODE := ""

# the list of recipes
[private]
default:
    @just --justfile "{{ justfile() }}" --list --unsorted

# installs what is missing, starts everything, trains tic-tac-toe before your eyes
[group('stack')]
[no-exit-message]
up *options: _environment
    @cartridge up {{ options }}

# stops everything and keeps the data; --delete-data asks, then deletes it
[group('stack')]
[no-exit-message]
down *options: _environment
    @cartridge down {{ options }}

# each process of the stack: state, pid, restarts, address, log
[group('stack')]
[no-exit-message]
status *options: _environment
    @cartridge status {{ options }}

# docker compose over compose/compose.yaml: just compose --profile services up
[group('stack')]
[no-exit-message]
compose *options: _environment
    @python -m cartridge.stack.docker {{ options }}

# submits a run and follows it: just train tictactoe
[group('use')]
[no-exit-message]
train *options: _environment
    @cartridge train {{ options }}

# how strong a run's policy is, recomputed from its checkpoint: just evaluate RUN
[group('use')]
[no-exit-message]
evaluate *options: _environment
    @cartridge evaluate {{ options }}

# DuckDB over everything that is sealed; a shell without a query: just sql "select count(*) from transitions"
[group('use')]
[no-exit-message]
[positional-arguments]
sql *query: _environment
    @cartridge sql "$@"

# an episode from the topic, board by board: just replay show --run R --episode E
[group('use')]
[no-exit-message]
replay *options: _environment
    @cartridge replay {{ options }}

# the runs: just runs list, just runs stop RUN, just runs start RUN
[group('use')]
[no-exit-message]
runs *options: _environment
    @cartridge runs {{ options }}

# the games: just games list, just games play tictactoe
[group('use')]
[no-exit-message]
games *options: _environment
    @cartridge games {{ options }}

# everything that CI checks: style, types, generated files, all tests, servers being installed beside; or some: just test tests/unit
[group('develop')]
[no-exit-message]
[positional-arguments]
test *options: _environment
    @if [ $# -gt 0 ]; then python -m games.warm; exec python -m pytest "$@"; fi; \
    python -m cartridge.stack.install & installing=$!; trap 'kill $installing 2>/dev/null || :' EXIT; \
    "{{ just_executable() }}" --justfile "{{ justfile() }}" lint types drift; \
    python -m games.warm; python -m pytest tests/unit tests/integration

# the same by the name that other projects use
[group('develop')]
check: test

# style, and formatting as it should be
[group('develop')]
lint: _environment
    @ruff check .
    @ruff format --check .

# puts the code into the house's format
[group('develop')]
format: _environment
    @ruff check --fix .
    @ruff format .

# static types, strict
[group('develop')]
types: _environment
    @mypy

# writes the gRPC stubs from proto/
[group('develop')]
generate: _environment
    @python proto/generate.py

# fails when the committed stubs are not those of proto/
[group('develop')]
drift: _environment
    @python proto/generate.py --check

# lints proto/ and refuses what breaks clients of proto/released/
[group('develop')]
proto: _environment
    @python -m cartridge.stack.buf lint proto
    @python -m cartridge.stack.buf breaking proto --against proto/released

# on a release: the proto of now becomes the one that later changes are compared with
[group('develop')]
release-proto: proto
    @python proto/release.py

# resolves the requirements, the peers' too, and the native stack's parts anew, with hashes
[group('develop')]
lock: _environment
    uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet --upgrade requirements.in -o requirements.lock
    uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 --quiet --upgrade -c requirements.lock bench/peers/requirements.in -o bench/peers/requirements.lock
    python -m cartridge.stack.lock

# the benchmarks: just bench engine --peers, just bench pipeline
[group('develop')]
[positional-arguments]
bench name *options: _environment
    @shift; python "bench/{{ name }}.py" "$@"

# a Python program where the peers are, and this project: just peers bench/sb3.py
[group('develop')]
[no-exit-message]
[positional-arguments]
peers *program: _environment
    @python -m bench.peers.environment "$@"

[private]
_environment:
    @"{{ justfile_directory() }}/just" --environment
