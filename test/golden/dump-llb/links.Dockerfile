FROM scratch AS twice
COPY --link a /
COPY --link a /
FROM base
COPY --link --chown=1:2 a /one/
COPY --link --from=twice / /two/
COPY --link --chmod=600 a /plain/
