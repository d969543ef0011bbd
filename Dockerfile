# syntax=docker/dockerfile:1
FROM python:3.13.2-slim-bookworm AS builder
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY securechain_ingest ./securechain_ingest
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir "hatchling>=1.27,<2" \
    && /opt/build/bin/python -m hatchling build --target wheel --directory /build/dist \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps /build/dist/*.whl

FROM python:3.13.2-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/securechain-ingest securechain
COPY --from=builder /opt/venv /opt/venv
COPY config.toml /etc/securechain-ingest/config.toml
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SECURECHAIN_CONFIG=/etc/securechain-ingest/config.toml \
    SECURECHAIN_STATE_DIR=/var/lib/securechain-ingest \
    SECURECHAIN_EMBEDDED__ENABLED=false \
    SECURECHAIN_DAEMON__LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/securechain-ingest
VOLUME /var/lib/securechain-ingest
STOPSIGNAL SIGTERM
# A starting daemon waits up to two minutes for its stores. A store that goes away later does not make it unhealthy.
HEALTHCHECK --interval=30s --timeout=10s --start-period=150s --retries=3 CMD ["securechain-ingest", "health"]
# The exec form: the daemon is process 1 of the container and gets its signals.
ENTRYPOINT ["securechain-ingest"]
CMD ["run"]
