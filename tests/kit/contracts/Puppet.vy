# pragma version ==0.4.3
# pragma evm-version prague
"""
@title Puppet
@license MIT
@notice A contract that does what a test told it when it is called: refuses, burns its gas, calls others.
        It keeps what it saw.
"""


interface Messenger:
    def xDomainMessageSender() -> address: view


# @dev Accepts.
ACCEPT: constant(uint256) = 0
# @dev Reverts.
REFUSE: constant(uint256) = 1
# @dev Uses all its gas.
BURN: constant(uint256) = 2


mood: public(uint256)
target: public(address)
payload: public(Bytes[4_096])
amount: public(uint256)
calls: public(uint256)
gas_seen: public(uint256)
paid: public(uint256)
heard: public(bytes32)
sender_seen: public(address)
succeeded: public(bool)


@external
@payable
def instruct(mood: uint256, target: address, amount: uint256, payload: Bytes[4_096]):
    """
    @notice Sets what it does when it is called: its mood, and whom it calls with what.
    """
    self.mood = mood
    self.target = target
    self.amount = amount
    self.payload = payload


@external
@payable
def __default__():
    """
    @notice Does what it was told.
    """
    gas_seen: uint256 = msg.gas
    if self.mood == REFUSE:
        raise "refused"
    if self.mood == BURN:
        for index: uint256 in range(2**40):
            if msg.gas == 0:
                break
    self.calls += 1
    self.gas_seen = gas_seen
    self.paid += msg.value
    if len(msg.data) >= 32:
        self.heard = convert(slice(msg.data, 0, 32), bytes32)
    self.sender_seen = self._asked()
    if self.target != empty(address):
        self.succeeded = raw_call(self.target, self.payload, value=self.amount, revert_on_failure=False)


@internal
@view
def _asked() -> address:
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        msg.sender,
        method_id("xDomainMessageSender()"),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if success and len(answer) == 32:
        return convert(convert(answer, uint256) & convert(max_value(uint160), uint256), address)
    return empty(address)
