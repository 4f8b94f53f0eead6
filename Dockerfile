# One image for every stage: `docker build -t framefuse .`
# For NVIDIA GPUs, with CUDA and cuDNN inside: `docker build -t framefuse-gpu --build-arg ACCELERATOR=gpu .`
FROM python:3.12-slim-bookworm AS build
ARG ACCELERATOR=cpu
WORKDIR /src
ENV VIRTUAL_ENV=/opt/framefuse PATH=/opt/framefuse/bin:$PATH UV_LINK_MODE=copy UV_NO_CACHE=1

COPY requirements/build.txt requirements/run.txt requirements/cpu.txt requirements/gpu.txt requirements/
RUN python -m venv /opt/framefuse \
    && pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && uv pip install --require-hashes -r requirements/run.txt -r "requirements/$ACCELERATOR.txt"

COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY framefuse framefuse
COPY producers producers
COPY processors processors
COPY sinks sinks
RUN uv pip install --no-deps --no-build-isolation . \
    && uv pip uninstall uv setuptools pip

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp framefuse \
    && install -d -o framefuse -g framefuse /results
COPY --from=build /opt/framefuse /opt/framefuse
ENV PATH=/opt/framefuse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp \
    FRAMEFUSE_OBJECT_STORE_URL=/results
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
ENTRYPOINT ["framefuse"]
CMD ["--help"]
