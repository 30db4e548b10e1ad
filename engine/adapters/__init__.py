"""The field's own interfaces over our games: Gymnasium's Env and VectorEnv, PettingZoo's AEC and parallel."""
