"""This is a real Neo4j 5 with APOC for the graph tests, a server from ordinary Maven artifacts; no part of the
product.
"""
