// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Safebox} from "../contracts/Safebox.sol";
import {VM} from "../script/Vm.sol";

/// @title `forge test --fork-url`: against the state of a running chain
contract SafeboxTest {
    address private constant PORTAL = 0x4c00000000000000000000000000000000000002;
    address private constant FIRST = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;
    Safebox private box;

    function setUp() public {
        box = new Safebox(1 ether);
    }

    receive() external payable {}

    function test_the_fork_is_the_chain_asked_for() public view {
        require(block.chainid == VM.envUint("CHAIN_ID"), "chain id");
        require(FIRST.balance > 0, "balance");
        require(block.chainid != 900 || PORTAL.code.length > 0, "code");
    }

    function test_keeps_and_gives_back() public {
        uint256 id = box.keep{value: 3}("by forge");
        box.giveBack(id);
        require(address(box).balance == 0, "balance");
    }

    function test_refuses_what_is_above_the_limit() public {
        VM.expectRevert(abi.encodeWithSelector(Safebox.AboveLimit.selector, 2 ether, 1 ether));
        box.keep{value: 2 ether}("too much");
    }

    function testFuzz_keeps_any_amount_below_the_limit(uint96 amount) public {
        amount = uint96(amount % 1 ether);
        require(box.look(box.keep{value: amount}("fuzzed")).amount == amount, "amount");
    }
}
