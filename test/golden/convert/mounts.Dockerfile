FROM base
ENV WHERE=/mnt
WORKDIR /w
RUN --mount=source=lib,target=lib,rw \
    --mount=from=tools,src=/bin,target=$WHERE/tools \
    --mount=type=cache,id=deps,target=/deps,sharing=locked,uid=1000,mode=0700 \
    --mount=type=tmpfs,target=/t,size=1m \
    --mount=type=secret,id=token,env=TOKEN,target=/token,mode=0440 \
    --mount=type=ssh \
    --network=none --security=insecure \
    echo $WHERE $TOKEN $HOME
RUN <<EOF
#!/bin/sh
echo from a script
EOF
RUN <<EOF cat
text
EOF
