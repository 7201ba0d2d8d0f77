# The parts of a server, an image each: docker-compose.yml runs one server of a pair with them. Node.js and the program are the same
# layers in all of them; nothing that builds is in any of them. Decision: docs/decisions/0017-containers.md.
ARG DEBIAN_IMAGE=debian:bookworm-slim
ARG NODE_IMAGE=node:24-bookworm-slim
ARG POSTGRES_IMAGE=postgres:15-bookworm
ARG REDIS_IMAGE=redis:7-bookworm
ARG NATS_IMAGE=nats:2

FROM ${NATS_IMAGE} AS nats-image
FROM ${NODE_IMAGE} AS node-image

# The manifests alone, so that a change of the sources installs nothing anew.
FROM node-image AS manifests
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
COPY apps apps
COPY libs libs
RUN find package.json package-lock.json .npmrc apps/*/package.json libs/*/package.json -exec install -D {} /manifests/{} \;

FROM node-image AS dependencies
WORKDIR /opt/understudy
COPY --from=manifests /manifests .
# The Node.js that comes as a package is for machines without one.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev --no-audit --no-fund && rm -rf node_modules/node-linux-* node_modules/.bin/node node_modules/.cache

FROM node-image AS build
WORKDIR /opt/understudy
COPY --from=manifests /manifests .
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.base.json ./
COPY bin bin
COPY apps apps
COPY libs libs
RUN node_modules/.bin/tsc -b \
 && mkdir /program && cp --parents -r bin apps/*/dist apps/*/package.json libs/*/dist libs/*/package.json /program \
 && rm -rf /program/apps/ha-e2e /program/libs/simulation /program/libs/model-check

# What every image holds; a layer each, whatever it lies upon.
FROM scratch AS program
COPY --from=dependencies /opt/understudy/node_modules /opt/understudy/node_modules
COPY --from=build /program /opt/understudy
COPY --from=node-image /usr/local/bin/node /usr/local/bin/node

FROM ${DEBIAN_IMAGE} AS base
COPY infra/compose/image /
RUN /usr/local/sbin/prepare-image && rm /usr/local/sbin/prepare-image
COPY --link --from=program / /
ENV UNDERSTUDY_CONFIG_FILE=/var/lib/understudy/run/node.yaml
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --start-interval=2s --retries=3 CMD ["part-answers"]
USER understudy
WORKDIR /var/lib/understudy
ENTRYPOINT ["understudy"]

# Holds the run of the server: makes what the parts share, and when it ends they close.
FROM base AS site
CMD ["node", "run", "--layout", "containers", "--config", "/etc/understudy/node.yaml"]

FROM base AS nats
COPY --link --from=nats-image /nats-server /usr/local/bin/nats-server
CMD ["node", "part", "nats"]

FROM base AS heartbeat
CMD ["node", "part", "heartbeat"]

FROM base AS api-gateway
CMD ["node", "part", "api-gateway"]

FROM base AS file-sync
CMD ["node", "part", "file-sync"]

FROM base AS notifier
CMD ["node", "part", "notifier"]

FROM base AS patch-manager
CMD ["node", "part", "patch-manager"]

# An application in a container: its command is started and stopped on the word of the health monitor.
FROM base AS sample-app
CMD ["agent", "--name", "sample", "--", "node", "/opt/understudy/apps/sample-app/dist/main.js"]

FROM ${REDIS_IMAGE} AS redis
COPY infra/compose/image /
RUN /usr/local/sbin/prepare-image && rm /usr/local/sbin/prepare-image
COPY --link --from=program / /
ENV UNDERSTUDY_CONFIG_FILE=/var/lib/understudy/run/node.yaml
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --start-interval=2s --retries=3 CMD ["part-answers"]
USER understudy
WORKDIR /var/lib/understudy
ENTRYPOINT ["understudy"]
CMD ["node", "part", "redis"]

# PostgreSQL, and those who ask its programs something.
FROM ${POSTGRES_IMAGE} AS database-base
COPY infra/compose/image /
RUN /usr/local/sbin/prepare-image iproute2 iputils-ping && rm /usr/local/sbin/prepare-image
COPY --link --from=program / /
ENV UNDERSTUDY_CONFIG_FILE=/var/lib/understudy/run/node.yaml
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --start-interval=2s --retries=3 CMD ["part-answers"]
STOPSIGNAL SIGTERM
WORKDIR /var/lib/understudy
ENTRYPOINT ["understudy"]

FROM database-base AS db-replication
USER understudy
CMD ["node", "part", "db-replication"]

# Capabilities that Docker adds are root's: they are kept through setpriv, for the virtual IP and for ping. The program is no root.
FROM database-base AS health-monitor
ENTRYPOINT ["with-network-rights", "understudy"]
CMD ["node", "part", "health-monitor"]

FROM database-base AS readiness-checker
ENTRYPOINT ["with-network-rights", "understudy"]
CMD ["node", "part", "readiness-checker"]
