// The host's table of certificates for a SEV-SNP guest, as a hypervisor lays it out.

import { concat, fromHex } from "../../../src/core/bytes.ts";

/** VCEK, ASK, ARK: RFC 4122 with the first three fields little-endian. */
const GUIDS = [
  "8d75da6364e66445adc5f4b93be8accd",
  "79b3b74aacbbe44fa02f05aef327c782",
  "a406b4c003a8524997433fb6014cd0ae",
];

/** certificates: DER, in the order VCEK, ASK, ARK. order: in which they are listed. */
export function certificateTable(
  certificates: readonly Uint8Array[],
  order: readonly number[] = certificates.map((_, i) => i),
): Uint8Array<ArrayBuffer> {
  let offset = 24 * (certificates.length + 1);
  const entries = order.map((index) => {
    const numbers = new DataView(new ArrayBuffer(8));
    numbers.setUint32(0, offset, true);
    numbers.setUint32(4, certificates[index]!.length, true);
    offset += certificates[index]!.length;
    return concat(fromHex(GUIDS[index]!)!, new Uint8Array(numbers.buffer));
  });
  return concat(...entries, new Uint8Array(24), ...order.map((index) => certificates[index]!));
}
