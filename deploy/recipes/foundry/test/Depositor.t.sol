// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Depositor} from "../src/Depositor.sol";

/// @title Forge's cheat codes, those that are used here; a project with forge-std has them all
interface Vm {
    function envAddress(string calldata name) external view returns (address);
    function envUint(string calldata name) external view returns (uint256);
    function createSelectFork(string calldata alias_) external returns (uint256);
    function addr(uint256 key) external pure returns (address);
    function prank(address sender) external;
}

/// @title On forks of both chains of the devnet that runs beside `forge test`
contract DepositorTest {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function test_deposits_on_a_fork_of_l1() public {
        VM.createSelectFork("l1");
        address portal = VM.envAddress("L1_PORTAL_ADDRESS");
        Depositor depositor = new Depositor(portal);
        address payer = VM.addr(VM.envUint("ACCOUNT_0_PRIVATE_KEY"));
        uint256 locked = portal.balance;
        VM.prank(payer);
        depositor.send{value: 1 ether}(payer);
        require(portal.balance == locked + 1 ether, "the portal holds it");
    }

    function test_the_other_chain_is_there_too() public {
        VM.createSelectFork("l2");
        require(block.chainid == VM.envUint("L2_CHAIN_ID"), "chain id");
        require(VM.envAddress("L2_L2_TO_L1_MESSAGE_PASSER_ADDRESS").code.length > 0, "predeploy");
    }
}
