# A worker that uses Kafka, Redis and ClickHouse servers; no root, nothing to write to but /var/lib/rater.
# With the embedded Redis and ClickHouse as well (about 400 MB more): docker build --build-arg LOCKS="engine embedded" .
FROM python:3.11-slim-bookworm AS build
ARG LOCKS="engine"
WORKDIR /src
RUN python -m venv /opt/rater
COPY requirements requirements
RUN for lock in $LOCKS; do \
        /opt/rater/bin/pip install --no-cache-dir --require-hashes --no-deps -r "requirements/$lock.lock" || exit 1; \
    done
# For the compiled hot path.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY pyproject.toml setup.py README.md LICENSE ./
COPY rater rater
COPY streams streams
COPY schemas schemas
COPY config config
RUN /opt/rater/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/rater/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/rater --create-home rater
COPY --from=build /opt/rater /opt/rater
ENV PATH=/opt/rater/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RATER_ENGINE_DATA=/var/lib/rater
WORKDIR /var/lib/rater
USER 10001
VOLUME /var/lib/rater
EXPOSE 8080 9464
ENTRYPOINT ["rater"]
CMD ["--help"]
