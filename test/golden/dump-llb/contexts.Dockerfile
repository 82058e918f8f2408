FROM base AS one
COPY --from=files f /f
FROM layout
COPY --from=one /f /g
COPY --from=files dir/ /dir
RUN --mount=from=pinned,target=/p true
