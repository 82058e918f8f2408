FROM base
ARG who=you
COPY <<one.txt <<-"two.txt" /docs/
hello $who
one.txt
	hello $who
two.txt
RUN <<EOT
echo a
echo b
EOT
RUN <<EOT
#!/usr/bin/env python
print(1)
EOT
RUN cat <<EOT >/f && true
text
EOT
