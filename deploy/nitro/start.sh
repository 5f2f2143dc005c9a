#!/bin/sh
# Starts the enclave on the connection that is its standard input and output. The sealing key lives in this enclave's
# memory and ends with it.
set -eu
umask 077
exec env -i /opt/qflare/node --permission --allow-fs-read=/opt/qflare/enclave.mjs --allow-ffi \
  --disallow-code-generation-from-strings --disable-proto=delete --disable-sigusr1 --no-experimental-sqlite \
  --no-warnings /opt/qflare/enclave.mjs "$(cat /opt/qflare/enclave.sha256)" 3<>/tmp/sealing.key
