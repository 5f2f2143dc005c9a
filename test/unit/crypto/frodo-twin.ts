// FrodoKEM's arithmetic written as the specification reads: one coefficient at a time, matrices as rows of numbers.

export type Matrix = readonly (readonly number[])[];

export function rowsOf(words: ArrayLike<number>, columns: number): number[][] {
  const rows: number[][] = [];
  for (let at = 0; at < words.length; at += columns) {
    rows.push(Array.from({ length: columns }, (_, j) => words[at + j]));
  }
  return rows;
}

export function transpose(m: Matrix): number[][] {
  return m[0].map((_, j) => m.map((row) => row[j]));
}

/** x y + z modulo q. */
export function mulAdd(x: Matrix, y: Matrix, z: Matrix, q: number): number[][] {
  const columns = transpose(y);
  return x.map((row, i) =>
    columns.map((column, j) => mod(z[i][j] + row.reduce((sum, value, k) => sum + value * column[k], 0), q)),
  );
}

export function mod(value: number, q: number): number {
  return ((value % q) + q) % q;
}

/** Frodo.Sample of one 16-bit word. */
export function sample(r: number, cdf: readonly number[]): number {
  const t = r >> 1;
  let e = 0;
  for (let z = 0; z < cdf.length - 1; z++) if (t > cdf[z]) e++;
  return r % 2 === 1 ? -e : e;
}

/** Frodo.Pack, by way of a string of bits. */
export function pack(words: readonly number[], D: number): number[] {
  const bits = words.map((word) => word.toString(2).padStart(D, "0")).join("");
  return bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2));
}

/** Frodo.Encode: 64 coefficients of B message bits each, at the top of D bits. */
export function encode(mu: Uint8Array, B: number, D: number): number[] {
  const bits = Array.from(mu, (byte) => [...byte.toString(2).padStart(8, "0")].reverse()).flat();
  return Array.from({ length: 64 }, (_, i) => {
    const chunk = bits.slice(i * B, (i + 1) * B).reverse();
    return Number.parseInt(chunk.join(""), 2) * 2 ** (D - B);
  });
}

/** Frodo.Decode of one coefficient. */
export function decode(c: number, B: number, D: number): number {
  return Math.floor((c * 2 ** B) / 2 ** D + 0.5) % 2 ** B;
}
