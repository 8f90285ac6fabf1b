# syntax=docker/dockerfile:1
# Two stages: the first builds a virtual environment from the lock files, the second carries only that.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Packages first: this layer changes only when a lock file does.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/sameas \
    && /opt/sameas/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
    && python -m pip install --require-hashes -r requirements-build.lock

COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/sameas/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/sameas/bin/sameas --help > /dev/null


FROM python:3.11-slim
LABEL org.opencontainers.image.title="sameas" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --system --gid 10001 sameas \
    && useradd --system --uid 10001 --gid sameas --home-dir /var/lib/sameas --shell /usr/sbin/nologin sameas \
    && install --directory --owner sameas --group sameas --mode 0700 /var/lib/sameas

COPY --from=build /opt/sameas /opt/sameas
ENV PATH=/opt/sameas/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAMEAS_DATA_DIR=/var/lib/sameas

# The default store and the admin key of the first start live here.
VOLUME ["/var/lib/sameas"]
WORKDIR /var/lib/sameas
USER 10001:10001

# The service listens on loopback unless it is told who stands in front of it: set SAMEAS_HOST together with
# SAMEAS_TRUSTED_PROXY (deploy/compose.yaml shows how) or with a TLS certificate.
EXPOSE 8360
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8360/healthz', timeout=4).read()"]
ENTRYPOINT ["sameas"]
CMD ["serve"]
