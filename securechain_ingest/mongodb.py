"""The driver of MongoDB: the only module that imports motor, whose own end is announced.

docs/architecture.md, "Motor", says how it is exchanged for PyMongo's own asynchronous client.
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
    """A client over a pool of connections, contacted by its first command and closed with the block.

    `timeout_s` bounds finding a server, connecting and every answer; None leaves the driver its own times. Raises
    PyMongoError or ValueError if `uri` is no address.
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
