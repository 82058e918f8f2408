ARG NAME=base BASE=${NAME:-none}:latest
FROM --platform=${BUILDPLATFORM} ${BASE%:*}:${BASE##*:} AS one
ARG FILE=archive.tar.gz
ENV STEM=${FILE%%.*} EXT=${FILE#*.} LAST=${FILE##*.} DOTS=${FILE//./_} FIRST=${FILE/a/A}
ENV QUOTED='$FILE' ESCAPED=\$FILE DOUBLE="\"$FILE\"" NESTED=${NONE:-${FILE:+${STEM}-${EXT}}}
COPY ${STEM}.txt "${EXT}" /to/$LAST/
COPY --chown=$STEM:${GROUP:-staff} --chmod=${MODE-640} ["a $STEM", "/json/"]
COPY <<EOF <<'RAW' /docs/
$FILE "kept" \$kept
EOF
$FILE
RAW
WORKDIR ${NONE-/w}/$STEM
ADD --checksum=sha256:${SUM:-0000000000000000000000000000000000000000000000000000000000000000} https://example.org/$FILE .
RUN --mount=type=cache,target=/cache/${STEM},id=$FILE --mount=type=secret,id=$STEM,env=TOKEN \
    echo $FILE '$STEM' "${EXT}" $TOKEN ${UNKNOWN}
STOPSIGNAL ${SIGNAL:-9}
