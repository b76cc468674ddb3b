// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Safebox} from "../contracts/Safebox.sol";
import {VM} from "./Vm.sol";

/// @title `forge script --broadcast`: deploys a box, one more by CREATE2, and uses both
contract Deploy {
    function run() external returns (Safebox first, Safebox second) {
        VM.startBroadcast(VM.envUint("PRIVATE_KEY"));
        first = new Safebox(1 ether);
        second = new Safebox{salt: bytes32(block.number)}(2 ether);
        first.keep{value: 5}("by a script");
        second.keep{value: 1.5 ether}("by a script too");
        first.giveBack(0);
        VM.stopBroadcast();
        require(first.count() == 1 && address(second).balance == 1.5 ether, "simulated otherwise");
    }
}
