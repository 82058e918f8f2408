FROM base AS needed
RUN needed
FROM base AS skipped
RUN skipped
FROM needed AS wanted
COPY --from=needed /a /b
RUN wanted
FROM skipped
RUN last
