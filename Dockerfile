# An image with the trueup command, from this checkout and its pinned requirements.
#   docker build -t trueup .
#   docker run --rm -v "$PWD:/data" trueup check --target target.toml
# docs/ci.md describes it. A target on the host's loopback needs --network host.
FROM python:3.12.12-slim-bookworm
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
COPY requirements.lock /opt/trueup/
RUN python -m pip install --quiet --require-hashes -r /opt/trueup/requirements.lock
COPY pyproject.toml README.md LICENSE /opt/trueup/
COPY src /opt/trueup/src
COPY simulator /opt/trueup/simulator
COPY conformance /opt/trueup/conformance
COPY scenarios /opt/trueup/scenarios
COPY reports /opt/trueup/reports
COPY reference /opt/trueup/reference
RUN python -m pip install --quiet --no-deps --no-build-isolation /opt/trueup \
  && useradd --create-home --uid 1000 trueup \
  && install --directory --owner trueup /data
USER trueup
WORKDIR /data
ENTRYPOINT ["trueup"]
CMD ["--help"]
