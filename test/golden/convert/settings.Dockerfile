# escape=`
ARG VERSION=1 TAG=latest
ARG EMPTY=
FROM base:latest AS first
ARG VERSION
ARG OWN=${VERSION}-own UNSET
ENV A=1 B="two words" C=$A${EMPTY:-none}
ENV A=${A}2 old=$A
ENV legacy  the rest $A
LABEL one=1 "two words"="$OWN" one=${UNSET:+set}
LABEL legacy label text
MAINTAINER Some One <some@example.org>
WORKDIR rel/../ative
WORKDIR /abs//path/
USER app:$VERSION
EXPOSE 80 $VERSION-3/UDP 127.0.0.1:8080:81/sctp
VOLUME /data "$OWN"
VOLUME ["/json dir", "/$A"]
STOPSIGNAL sigterm
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=1.5s --retries=3 CMD curl -f localhost
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
CMD echo "$A"
ENTRYPOINT ["/entry", "with \"quotes\""]
ONBUILD RUN <<EOF
echo built on
EOF
ONBUILD COPY --from=tools:latest /tool /tool
FROM first AS second
HEALTHCHECK NONE
ENTRYPOINT []
RUN echo $A $OWN
ENTRYPOINT second entry
