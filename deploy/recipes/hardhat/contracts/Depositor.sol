// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface Portal {
    function depositTransaction(address to, uint256 value, uint64 gasLimit, bool isCreation, bytes calldata data)
        external
        payable;
}

/// @title Sends to L2 whatever it is given on L1
contract Depositor {
    Portal private immutable PORTAL;

    event Sent(address indexed to, uint256 amount);

    constructor(address portal) {
        PORTAL = Portal(portal);
    }

    /// @notice Deposit what comes with the call
    function send(address to) external payable {
        PORTAL.depositTransaction{value: msg.value}(to, msg.value, 100_000, false, "");
        emit Sent(to, msg.value);
    }
}
