// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Forge's cheat codes, those that are used here
interface Vm {
    function envUint(string calldata name) external view returns (uint256);
    function expectRevert(bytes calldata data) external;
    function startBroadcast(uint256 key) external;
    function stopBroadcast() external;
    function rpc(string calldata method, string calldata params) external returns (bytes memory);
}

Vm constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
