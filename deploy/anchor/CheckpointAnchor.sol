// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Checkpoints of audit logs, each account's own. They only grow, and none can be taken back: whoever rewrote a log
/// would stand against the roots that are written here.
contract CheckpointAnchor {
    struct Checkpoint {
        uint64 size;
        bytes32 root;
    }

    /// By account, then by SHA-256 of the log's origin.
    mapping(address => mapping(bytes32 => Checkpoint[])) private checkpoints;

    event Anchored(address indexed account, bytes32 indexed origin, uint64 size, bytes32 root);

    error NotLater(uint64 last);

    function anchor(bytes32 origin, uint64 size, bytes32 root) external {
        Checkpoint[] storage own = checkpoints[msg.sender][origin];
        uint64 last = own.length == 0 ? 0 : own[own.length - 1].size;
        if (size <= last) revert NotLater(last);
        own.push(Checkpoint(size, root));
        emit Anchored(msg.sender, origin, size, root);
    }

    function count(address account, bytes32 origin) external view returns (uint256) {
        return checkpoints[account][origin].length;
    }

    function at(address account, bytes32 origin, uint256 index) external view returns (uint64 size, bytes32 root) {
        Checkpoint storage found = checkpoints[account][origin][index];
        return (found.size, found.root);
    }
}
