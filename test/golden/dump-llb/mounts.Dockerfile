FROM base AS tools
RUN --mount=target=/src --mount=type=bind,source=/sub,target=rw,rw true
FROM base
WORKDIR /w
RUN --mount=type=bind,from=tools,source=/bin,target=/tools \
    --mount=type=cache,target=/cache,id=shared-cache,sharing=private \
    --mount=type=cache,target=/owned,uid=5,gid=6,mode=0700 \
    --mount=type=cache,target=seeded,from=tools,source=/etc,sharing=locked \
    --mount=type=tmpfs,target=/t,size=8m true
RUN --mount=type=secret,id=token --mount=type=secret,id=key,target=/k,mode=0440,uid=1,gid=2,required \
    --mount=type=secret,id=env,env=TOKEN --mount=type=ssh --mount=type=ssh,id=deploy,target=/agent,required true
