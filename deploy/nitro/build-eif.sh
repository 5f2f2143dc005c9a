#!/usr/bin/env bash
# Makes the enclave image file and prints its measurements: PCR0 the image, PCR1 kernel and boot file system, PCR2 the
# application. Run in the repository's root, with docker and nitro-cli.
set -euo pipefail

docker build --file deploy/nitro/Dockerfile --tag qflare-enclave .
nitro-cli build-enclave --docker-uri qflare-enclave --output-file qflare-enclave.eif | tee qflare-enclave.json
jq -r '.Measurements | "qflare enclave measure --measurement nitro=\(.PCR0)"' qflare-enclave.json
