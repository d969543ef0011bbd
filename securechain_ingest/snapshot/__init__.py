"""A snapshot is a folder that holds the graph, its advisories and its cursors, for a new installation.

The graph's tables have the CSV format of Neo4j's bulk import, so that they can also be imported without a running
server. Whatever belongs to one installation only stays out: its queue, its users and their files.
"""
