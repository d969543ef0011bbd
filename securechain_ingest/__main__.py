"""`python -m securechain_ingest`."""

from securechain_ingest.cli import main

if __name__ == "__main__":
    main()
