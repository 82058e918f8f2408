# Tests hello, in the image it will run in.
set -eu
printf 'en|good day\nxx|stone\n' > sample
expect() { # expect WANTED LANGUAGE
  got=$(HELLO_LANGUAGE=$2 HELLO_VERSION=0 sh ./hello sample || true)
  [ "$got" = "$1" ] || { echo "wanted: $1"; echo "got:    $got"; exit 1; }
  echo "ok: $2"
}
expect 'good day (hello 0)' en
expect 'stone (hello 0)' xx
expect 'hello: no greeting in "yy"; there are: en xx' yy
