# One image for `runstream up`: gateway, log, tables and API in one process. docs/container.md has the steps.
#
#   docker build -f infra/one-machine.Dockerfile -t runstream-up:0.1.0 .
#
# The context is the repository's root; infra/one-machine.Dockerfile.dockerignore keeps it small.

FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/runstream
COPY pyproject.toml README.md LICENSE ./
COPY sdk sdk
COPY ingest ingest
COPY processors processors
COPY service service
COPY query query
COPY protocols protocols
# The page and what builds it, with Node of PyPI.
COPY web web
COPY infra/build_hook.py infra/page_build.py infra/
COPY infra/kafka/pom.xml infra/kafka/pom.xml
COPY infra/runstream_infra infra/runstream_infra
RUN /opt/runstream/bin/pip install --no-cache-dir '.[server]'

FROM python:3.11-slim
# The folder gives a new volume its owner.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin runstream \
    && install --directory --mode 700 --owner 10001 --group 10001 /var/lib/runstream
COPY --from=build /opt/runstream /opt/runstream
# Beyond loopback a server needs a key: RUNSTREAM_API_KEYS, without which the container ends with one sentence.
ENV PATH=/opt/runstream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RUNSTREAM_DATA_DIR=/var/lib/runstream \
    RUNSTREAM_LISTEN_HOST=0.0.0.0 \
    RUNSTREAM_LISTEN_PORT=7070
USER 10001:10001
WORKDIR /tmp
VOLUME /var/lib/runstream
EXPOSE 7070
# From inside, where the certificate's name is not asked for.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import os, ssl, urllib.request as r; s = 's' * bool(os.environ.get('RUNSTREAM_TLS_CERT')); p = os.environ['RUNSTREAM_LISTEN_PORT']; r.urlopen(f'http{s}://127.0.0.1:{p}/readyz', timeout=4, context=ssl._create_unverified_context())"]
ENTRYPOINT ["runstream"]
CMD ["up", "--log-format", "json"]
