FROM base
WORKDIR /w
COPY a b[0-9].txt /d/
COPY --chown=app:staff dir .
COPY --chown=7:8 --chmod=4755 f /f
COPY --chmod=u=rwX,go=rX f g
COPY --exclude=*.log --exclude=**/tmp . /all
COPY --parents src/./x/y src/**/*.c /parents/
COPY --from=tools /bin/tool* /bin/
ADD archive.tar.gz /unpacked/
ADD --unpack=false archive.tar.gz /kept/
