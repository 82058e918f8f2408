ARG VERSION=1
FROM base AS build
WORKDIR /src
ENV MODE=fast
ARG VERSION
COPY --chown=app:staff go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache make VERSION=$VERSION
FROM scratch
COPY --from=build --link /src/out /bin/
COPY <<conf <<'raw' /etc/
mode=$MODE
conf
$MODE
raw
USER 1000
WORKDIR data
ENTRYPOINT ["/bin/out"]
