FROM base
ADD --chmod=600 https://example.com/a/file.txt?x=1 /f
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d http://example.com/dir/ /d/
ADD https://example.com/repo.git#v1:sub /repo
ADD --keep-git-dir=true --checksum=0123456789012345678901234567890123456789 git@example.com:me/repo.git /ssh
