"""The worker serves one request for one package, from the package's name to the graph.

The worker knows every other room, and none of them knows another one. Everything that it does can be repeated: a
message is acknowledged only after the write that it asked for is committed, and a repeated write leaves no trace.
"""
