// Parameters on the wire: IEEE 754 binary32, little-endian, without a header.

/** A view where alignment and the machine's byte order allow it, else a copy. bytes.length must divide by 4. */
export function floatsFromBytes(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  if (bytes.length % 4 !== 0) throw new RangeError(`expected whole floats, got ${bytes.length} bytes`);
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  requireLittleEndian();
  return new Float32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / 4);
}

/** A view of the same memory. */
export function bytesFromFloats(floats: Float32Array): Uint8Array<ArrayBuffer> {
  requireLittleEndian();
  return new Uint8Array(floats.buffer as ArrayBuffer, floats.byteOffset, floats.byteLength);
}

// Asked once: the answer is of the machine, and asking takes memory, which pieces of an update should not.
let isLittleEndian: boolean | undefined;

function requireLittleEndian(): void {
  isLittleEndian ??= new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  if (!isLittleEndian) throw new TypeError("big-endian machines are not supported");
}
