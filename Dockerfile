# All of the farm: workers for hosts with NVIDIA GPUs, drivers, and Prefect's server. compose.yaml runs them.
#
#   docker build -t styletransfer .
#
# With manifest and output in S3:
#
#   docker run --gpus all -v nst-cache:/cache -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY styletransfer \
#       styletransfer render s3://studio/manifest.yaml
#
# In a folder of yours only you may write, so run as yourself, with a cache and a home that are yours as well:
#
#   mkdir -p cache
#   docker run --gpus all --user "$(id -u):$(id -g)" -e HOME=/cache -v "$PWD/cache":/cache -v "$PWD":/studio \
#       styletransfer styletransfer render /studio/manifest.yaml
#
# Python's slim image rather than PyTorch's: PyTorch's wheels bring the CUDA libraries themselves, the NVIDIA
# container toolkit mounts the driver, and so pip installs here exactly what it installs on any other host,
# for a Python that we choose. There is nothing to compile, and no build stage.
FROM python:3.12-slim-bookworm

# tini is process 1: it hands SIGTERM on and reaps renders whose worker was killed.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

# What the container toolkit mounts on a plain base, and where everything that outlives a container is kept:
# trained weights, style targets.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    XDG_CACHE_HOME=/cache \
    TORCH_HOME=/cache/torch \
    PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1

# The dependencies are a layer of their own (several GB, most of it CUDA): a change of the code doesn't rebuild it.
# By the environment the versions reach what pip starts to build a package, too: the second for pip 25.3 and newer.
WORKDIR /opt/styletransfer
ARG PIP_CONSTRAINT=constraints.txt
ARG PIP_BUILD_CONSTRAINT=constraints.txt
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['cluster'], sep='\n')" \
        > /tmp/requirements.txt \
    && pip install --no-cache-dir --requirement /tmp/requirements.txt \
    && rm /tmp/requirements.txt

COPY README.md LICENSE ./
COPY styletransfer styletransfer
COPY flows flows
RUN pip install --no-cache-dir --no-deps .

# A number, so that Kubernetes can tell that it is not root.
RUN useradd --uid 10001 --create-home renderer \
    && install --directory --owner=renderer --group=renderer /cache
USER 10001
# By default Prefect's server unpacks its dashboard beside its own code, which is root's.
ENV PREFECT_SERVER_UI_STATIC_DIRECTORY=/tmp/prefect-ui
WORKDIR /home/renderer
VOLUME ["/cache"]

# A GPU that has fallen off the bus makes the worker useless while it still looks alive.
# Cheap: no CUDA context is made. Containers without a GPU (server, driver) replace this check.
HEALTHCHECK --interval=60s --timeout=20s --start-period=20s --retries=3 \
    CMD ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]

# The command is left free, as Prefect's Docker and Kubernetes pools put their own in its place.
# Credentials come from the environment at run time; none is in the image.
ENTRYPOINT ["tini", "--"]
CMD ["styletransfer", "--help"]
