"""One process put together: the only place where parts meet.

    NodeConfig -> process (logs, signals, exit code) -> assembly (parts -> Node) -> Node.run

Deliberately absent: behaviour. What a part does is in its package; here it is given what it needs.
"""
