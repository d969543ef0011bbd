"""What the clients of several registries have in common. Look here before you write something for one ecosystem.

- `json_documents`, `xml_documents`, `lines`: foreign documents are read safely and typed.
- `dates`, `digests`, `repository`: single values are brought into the form that the graph has.
- `import_name_rules`: import names are cleaned and bounded.
- `semver`, `semver_ranges`: npm and Cargo share the order of versions and the meaning of comparators.
- `large_files`, `concurrency`: a file is fetched part by part, and several requests of one package at a time.

Nothing here knows a single ecosystem, a queue or a store.
"""
