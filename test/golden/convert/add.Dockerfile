FROM base
ADD a.tar /unpacked/
ADD --unpack=false --exclude=*.md a.tar dir /copied
ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 https://example.org/d/file.tgz?x=1 /opt/
ADD --keep-git-dir=true https://user@example.org/team/repo.git#v1:docs /repo
ADD git@example.org:team/other.git?branch=main&submodules=false /other
COPY --parents --chmod=u=rwX,go= src/./*/x.c lib/y.c /tree/
COPY --link --chmod=644 f /linked
COPY ["a b", "../escape/", "/q/."]
