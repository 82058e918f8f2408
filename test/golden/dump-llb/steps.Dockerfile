# syntax=docker/dockerfile:1
ARG NAME=world
FROM base AS build
ARG NAME
ENV GREETING="hello $NAME" EMPTY=
SHELL ["/bin/sh", "-ec"]
RUN echo "$GREETING" >/greeting
USER app:1000
WORKDIR /srv/app
RUN ["/bin/true", "", "é"]
