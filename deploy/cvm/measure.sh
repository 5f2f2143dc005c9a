#!/usr/bin/env bash
# The launch measurement of the image, as a host with SEV-SNP would have it. It changes with the number and type of
# virtual processors: a release signs one for each shape that it supports.
#
#   measure.sh <OVMF.fd> <kernel> <initrd> <command line> <vcpus> [vcpu type]
#
# Needs sev-snp-measure (pip install sev-snp-measure). For TDX: MRTD follows from the firmware alone; RTMR1 and RTMR2
# from kernel, command line and initrd, by the event log's digests, extended with SHA-384.
set -euo pipefail

if (($# < 5)); then
  echo "usage: measure.sh <OVMF.fd> <kernel> <initrd> <command line> <vcpus> [vcpu type]" >&2
  exit 2
fi

exec sev-snp-measure --mode snp --vcpus "$5" --vcpu-type "${6:-EPYC-v4}" \
  --ovmf "$1" --kernel "$2" --initrd "$3" --append "$4"
