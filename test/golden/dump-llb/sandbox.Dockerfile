FROM base
RUN default
RUN --network=none none
RUN --network=host host
RUN --security=insecure insecure
