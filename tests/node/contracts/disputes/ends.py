"""How games come to their end."""

from __future__ import annotations

from tests.kit.dispute_world import DisputeWorld, Game


def mature(world: DisputeWorld, game: Game) -> None:
    """Let a game's time pass: it may be resolved."""
    world.pass_until_final(world.network.world.number(game.contract, "resolvableFrom"))


def stand(world: DisputeWorld, game: Game) -> None:
    """Let a game's time pass, and resolve it."""
    mature(world, game)
    world.resolve(game)
