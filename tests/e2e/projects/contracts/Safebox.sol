// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title A box that keeps what is put in, and pays it back: what a first project deploys
/// @dev Has all that a tool must decode: events with indexed and dynamic fields, custom errors with arguments, a struct,
/// a constructor with arguments, transient storage and immutables.
contract Safebox {
    struct Deposit {
        address owner;
        uint96 amount;
        string memo;
    }

    event Opened(address indexed by, uint256 limit);
    event Kept(uint256 indexed id, address indexed owner, uint256 amount, string memo);
    event Returned(uint256 indexed id, address indexed owner, uint256 amount);

    error AboveLimit(uint256 amount, uint256 limit);
    error NotTheOwner(address caller, Deposit kept);

    uint256 public immutable LIMIT;
    bool private transient locked;
    Deposit[] private deposits;

    constructor(uint256 limit) {
        LIMIT = limit;
        emit Opened(msg.sender, limit);
    }

    function keep(string calldata memo) external payable returns (uint256 id) {
        if (msg.value > LIMIT) revert AboveLimit(msg.value, LIMIT);
        id = deposits.length;
        deposits.push(Deposit(msg.sender, uint96(msg.value), memo));
        emit Kept(id, msg.sender, msg.value, memo);
    }

    function giveBack(uint256 id) external {
        require(!locked, "locked");
        locked = true;
        Deposit memory kept = deposits[id];
        if (kept.owner != msg.sender) revert NotTheOwner(msg.sender, kept);
        delete deposits[id];
        emit Returned(id, kept.owner, kept.amount);
        (bool paid,) = msg.sender.call{value: kept.amount}("");
        require(paid, "not paid");
        locked = false;
    }

    function look(uint256 id) external view returns (Deposit memory) {
        return deposits[id];
    }

    function count() external view returns (uint256) {
        return deposits.length;
    }

    function chain() external view returns (uint256 id, uint256 number, uint256 time) {
        return (block.chainid, block.number, block.timestamp);
    }
}
