"""This module connects to MongoDB. It is the only one that imports motor, whose end its makers have announced.

docs/architecture.md, "Motor", says how it can be replaced by PyMongo's own asynchronous client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection

Document: TypeAlias = dict[str, Any]
Client: TypeAlias = AsyncIOMotorClient[Document]
Collection: TypeAlias = AsyncIOMotorCollection[Document]


@asynccontextmanager
async def connected(uri: str, timeout_s: float | None = None) -> AsyncIterator[Client]:
    """Yield a client with a pool of connections. Its first command makes the first connection, and the end of the block
    closes all of them.

    `timeout_s` limits finding a server, connecting and every answer, in seconds; with None the driver's own limits
    hold. It raises PyMongoError, or ValueError if `uri` is not an address.
    """
    options: dict[str, Any] = {}
    if timeout_s is not None:
        milliseconds = int(timeout_s * 1000)
        options = dict.fromkeys(("serverSelectionTimeoutMS", "socketTimeoutMS", "connectTimeoutMS"), milliseconds)
    client: Client = AsyncIOMotorClient(uri, **options)
    try:
        yield client
    finally:
        client.close()
