"""This is the kit for what the clients of several registries do alike. Look here before you write it for one ecosystem.

- `client` is what every client inherits, and `documents` asks for a package's document and says when it is too old.
- `identity` has the registry's own spelling and the purls of versions.
- `preferred_version` says which version a user gets by default.
- `intervals` computes with ranges of versions in any order; `semver` and `semver_ranges` are shared by npm and Cargo.
- `json_documents`, `xml_documents` and `lines` read foreign documents safely.
- `dates`, `digests` and `repository` bring single values into the form of the graph.
- `import_name_rules` cleans and bounds import names.
- `kept_documents` keeps documents that never change on disk; `folders` tells daemons whether they share a folder.
- `large_files` fetches a file part by part, and `concurrency` limits requests that run at the same time.

Nothing here knows a single ecosystem, a queue or a store.
"""
