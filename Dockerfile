# SPDX-License-Identifier: Apache-2.0
# The service and its workers, as one image. Python packages are pinned by version and hash; pin the base by digest:
# --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/countersign \
    && /opt/countersign/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY evidence evidence
COPY confine confine
COPY diffing diffing
COPY behavior behavior
COPY signoff signoff
COPY reports reports
COPY service service
RUN /opt/countersign/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/countersign/bin/python -m compileall -q /opt/countersign/lib

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap git gpg openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/countersign countersign
COPY --from=build /opt/countersign /opt/countersign
USER 10001
WORKDIR /var/lib/countersign
ENV PATH=/opt/countersign/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    COUNTERSIGN_DATA_DIR=/var/lib/countersign/data \
    COUNTERSIGN_HOST=0.0.0.0 \
    COUNTERSIGN_PORT=8000 \
    COUNTERSIGN_METRICS_PORT=9100
RUN mkdir -m 700 data
VOLUME /var/lib/countersign/data
EXPOSE 8000
STOPSIGNAL SIGTERM
# The operator's bind answers in the service and in a worker alike; while they drain, they live.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9100/livez', timeout=3)"]
CMD ["countersign", "serve"]
