"""The worker: one request for one package, from a name to the graph.

It knows every room; none of them knows another. Whatever it does can be repeated: a message is acknowledged only after
the write that it asked for is committed, and a repeated write leaves no trace.
"""
