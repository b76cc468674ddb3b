"""Faults that this process applies to its own links: cut, slow, lossy.

    devnet_break -> Network.set_fault -> LinkFaults -> asked before every send and after every receipt

A blocked peer is disconnected, refused and not dialled; healing lets the redial find it within a second.
"""

from __future__ import annotations

from random import Random

from node.p2p.network import LinkFault, PeerId


class LinkFaults:
    """The fault in force, and the dice it rolls."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._fault = LinkFault()

    def set(self, fault: LinkFault) -> None:
        """Replace the fault in force."""
        assert 0.0 <= fault.drop_ratio <= 1.0
        assert fault.delay_ms >= 0
        assert fault.jitter_ms >= 0
        self._fault = fault

    def blocks(self, peer: PeerId) -> bool:
        """Whether this peer is cut off."""
        return peer in self._fault.blocked

    def drops(self) -> bool:
        """Whether the next gossip message vanishes."""
        ratio = self._fault.drop_ratio
        return ratio > 0.0 and self._dice.random() < ratio

    def delay_s(self) -> float:
        """How long the next message waits, in seconds."""
        fault = self._fault
        if not fault.delay_ms and not fault.jitter_ms:
            return 0.0
        return (fault.delay_ms + self._dice.uniform(0.0, fault.jitter_ms)) / 1_000
