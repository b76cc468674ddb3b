# pragma version 0.4.3
# pragma evm-version prague
"""
@title Doorbell
@license MIT
@notice A receiver of messages between the layers, for tests: it takes them only while its door is open.
"""

interface Messenger:
    def xDomainMessageSender() -> address: view


is_open: public(bool)
number: public(uint256)
rings: public(uint256)
sender: public(address)


@external
def set_open(is_open: bool):
    """
    @notice Opens or closes the door.
    """
    self.is_open = is_open


@external
@payable
def ring(number: uint256):
    """
    @notice Remembers a number and who sent it from the other layer; to be called by a messenger.
    """
    if not self.is_open:
        raise "the door is closed"
    self.number = number
    self.rings += 1
    self.sender = staticcall Messenger(msg.sender).xDomainMessageSender()
