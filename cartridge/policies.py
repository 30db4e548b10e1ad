"""Learned policies for people: to evaluate, and to play against.

In: a run's name. Out: its checkpoint, verified, as a policy that needs no torch.
Invariant: what is loaded is what was announced: the manifest's and every file's SHA-256 are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actor import kernels
from actor.policy import Policy
from cartridge import runs
from cartridge.errors import UsageError
from cartridge.objects import ObjectMissing, ObjectStore
from cartridge.settings import Settings
from games.choices import Choices
from games.contract import Positions
from games.spec import GameSpec
from streams import checkpoint
from streams.checkpoint import Manifest


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a run."""

    prefix: str
    manifest: Manifest
    policy: Policy


def load_checkpoint(settings: Settings, run: str, *, version: int | None = None) -> Checkpoint:
    """The checkpoint of `run` with `version`, by default the newest.

    Raises UsageError when there is none, BadCheckpoint when it is not what was announced.
    """
    spec = runs.find(settings, run)
    newest = runs.newest_weights(settings).get(spec.run)
    if newest is None:
        raise UsageError(
            f"run is {run!r}: it has no weights yet; `./just status` shows whether a learner is up"
        )
    if version is not None and not 0 <= version <= newest.version:
        raise UsageError(f"version is {version}: run {run} has 0 to {newest.version}")
    store = ObjectStore.connect(settings)
    if version is None or version == newest.version:
        prefix, digest = newest.checkpoint, newest.manifest_sha256
    else:  # older announcements may be compacted away; the files are still checked against the manifest
        prefix, digest = checkpoint.prefix_of(run, version), None
    try:
        manifest = checkpoint.read_manifest(store, prefix, sha256=digest)
        body = checkpoint.read_file(store, prefix, manifest, checkpoint.MODEL)
    except ObjectMissing as error:
        raise UsageError(f"version is {newest.version if version is None else version}: {error}") from error
    return Checkpoint(
        prefix, manifest, Policy.from_safetensors(body, manifest.network, version=manifest.version)
    )


def load_policy(
    settings: Settings, run: str, *, spec: GameSpec
) -> Callable[[Positions], npt.NDArray[np.uint8]]:
    """The greedy policy of `run` in the game of `spec`: N positions to the actions u8[N, A] that it takes in them.

    Raises UsageError when there is none, or when it is of another game or build.
    """
    found = load_checkpoint(settings, run)
    env_id, build_id = found.manifest.env_id, found.manifest.build_id
    if (env_id, build_id) != (spec.env_id, spec.build_id):
        raise UsageError(
            f"run is {run!r}: it learnt {env_id} of build {build_id!r}, and this is {spec.env_id} of build"
            f" {spec.build_id!r}; name a run of that"
        )
    choices, policy = Choices(spec), found.policy
    if (policy.obs_floats, policy.actions) != (choices.obs_size, choices.count):
        raise UsageError(
            f"run is {run!r}: its network takes {policy.obs_floats} floats and values {policy.actions} choices;"
            f" {spec.env_id} has {choices.obs_size} and {choices.count}"
        )

    def act(position: Positions) -> npt.NDArray[np.uint8]:
        legal = choices.legal(position.legal_masks)
        chosen = np.zeros(len(legal), np.uint32)
        rows = np.arange(len(legal), dtype=np.int64)
        kernels.best_legal(policy.values(choices.observations(position.obs)), legal, rows, len(legal), chosen)
        return choices.encode(chosen)

    return act
