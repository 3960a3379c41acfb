# One file for every service:
#
#   docker build --build-arg SERVICE=api -t featmesh/api:0.1.0 .
#
# SERVICE is a folder of services/: api, evaluation, ingest or standalone. Needs BuildKit (the
# default since Docker 23) or Buildah for the cache mount.

FROM python:3.11-slim-bookworm AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/featmesh

WORKDIR /src
COPY constraints.txt pyproject.toml ./
COPY sdks/python sdks/python
COPY cli cli
COPY services services

# After the copies, so that a second service's build starts from the layers of the first.
ARG SERVICE
RUN python -c "import sys; from pathlib import Path; s = sys.argv[1]; \
    sys.exit(0 if s and Path('services', s, '__main__.py').is_file() else \
    'build argument SERVICE: want api, evaluation, ingest or standalone, not ' + repr(s))" "${SERVICE}"
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "${SERVICE}" = standalone ]; then set -- ./cli '.[standalone]'; else set -- .; fi \
    && /opt/featmesh/bin/pip install -c constraints.txt ./sdks/python "$@"

# pip is of no use at run time. Standalone's mongod comes without its run bit, which the
# unprivileged user could not set. The launcher becomes the service (exec), so that the service
# is process 1 and gets SIGTERM itself.
RUN /opt/featmesh/bin/python -m pip uninstall --yes pip setuptools \
    && find /opt/featmesh/lib -path '*/fiftyone/db/bin/mongod' -exec chmod 755 {} + \
    && printf '#!/bin/sh\nexec /opt/featmesh/bin/python -m services.%s "$@"\n' "${SERVICE}" \
       > /opt/featmesh/bin/service \
    && chmod 755 /opt/featmesh/bin/service


FROM python:3.11-slim-bookworm

ARG SERVICE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="featmesh-${SERVICE}" \
      org.opencontainers.image.description="FeatMesh, feature flags as a gRPC mesh: ${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"

# libcurl is the one library that the embedded mongod needs and the slim image lacks. Debian
# keeps only the newest build of it in a release, so a pinned version would soon not be found.
# hadolint ignore=DL3008
RUN if [ "${SERVICE}" = standalone ]; then \
      apt-get update && apt-get install -y --no-install-recommends libcurl4 \
      && rm -rf /var/lib/apt/lists/*; \
    fi \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/featmesh

COPY --from=builder /opt/featmesh /opt/featmesh

# A service listens on loopback unless told otherwise; inside a container that reaches nobody.
ENV PATH=/opt/featmesh/bin:$PATH \
    HOME=/var/lib/featmesh \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FEATMESH_API_LISTEN=0.0.0.0:7400 \
    FEATMESH_EVALUATION_LISTEN=0.0.0.0:7401 \
    FEATMESH_INGEST_LISTEN=0.0.0.0:7402 \
    FEATMESH_LOG_FORMAT=json

# Numeric, so that Kubernetes can prove runAsNonRoot without reading /etc/passwd.
USER 10001:10001
WORKDIR /var/lib/featmesh
EXPOSE 7400 7401 7402
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/featmesh/bin/service"]
