# SPDX-License-Identifier: Apache-2.0
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/countersign && /opt/countersign/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN /opt/countersign/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap git gpg openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/countersign countersign
COPY --from=build /opt/countersign /opt/countersign
USER countersign
WORKDIR /var/lib/countersign
ENV PATH=/opt/countersign/bin:$PATH COUNTERSIGN_DATA_DIR=/var/lib/countersign
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=3)"]
CMD ["countersign", "serve", "--host", "0.0.0.0", "--port", "8000"]
