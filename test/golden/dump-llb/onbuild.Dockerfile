FROM base AS trigger
ONBUILD RUN first
ONBUILD COPY a /a
FROM trigger
RUN second
