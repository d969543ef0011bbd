"""A real Neo4j 5 with APOC for the graph tests, run as a server from ordinary Maven artifacts; no part of the product."""
