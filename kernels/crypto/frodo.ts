// FrodoKEM arithmetic on one linear memory (FrodoKEM specification 2023-03-14; draft-longa-cfrg-frodokem).
//
// Letters are those of the specification: n rows of A, nbar = 8 rows of S', q = 2^D, B bits of message a coefficient.
// A coefficient is a 16-bit little-endian word. Products are taken modulo 2^16, which q divides, and come down to q
// where they are packed, decoded or compared. Matrices lie row after row; S lies transposed, 8 x n, as S' does.
// Arguments are addresses; lengths are public. No branch and no address depends on the content of a matrix.

// Where the host may lay out its matrices: nothing here allocates.
export function heapBase(): usize {
  return __heap_base;
}

// Turns `count` uniform words at r, a multiple of 16, into samples of the error distribution, in place. The table at
// `cdf` has cdfLength words: a sample is the number of entries below the upper 15 bits, its sign is the lowest bit.
export function sample(r: usize, count: i32, cdf: usize, cdfLength: i32): void {
  const one = i16x8.splat(1);
  const end = r + ((<usize>count) << 1);
  const cdfEnd = cdf + ((<usize>cdfLength) << 1);
  for (; r < end; r += 32) {
    const x0 = v128.load(r);
    const x1 = v128.load(r, 16);
    const t0 = i16x8.shr_u(x0, 1);
    const t1 = i16x8.shr_u(x1, 1);
    let e0 = i16x8.splat(0);
    let e1 = i16x8.splat(0);
    for (let p = cdf; p < cdfEnd; p += 2) {
      const limit = v128.load16_splat(p);
      e0 = i16x8.sub(e0, i16x8.gt_s(t0, limit)); // a comparison that holds is -1
      e1 = i16x8.sub(e1, i16x8.gt_s(t1, limit));
    }
    v128.store(r, negateIf(e0, v128.and(x0, one)));
    v128.store(r, negateIf(e1, v128.and(x1, one)), 16);
  }
}

// sign: 0 or 1 a lane.
// @ts-ignore: decorator
@inline
function negateIf(e: v128, sign: v128): v128 {
  return i16x8.add(v128.xor(i16x8.neg(sign), e), sign);
}

// out += A S for `rows` rows of A (an even number) at a. out: rows x 8. s: S transposed, 8 x n.
export function mulAddAS(out: usize, a: usize, s: usize, n: i32, rows: i32): void {
  const rowBytes = (<usize>n) << 1;
  const end = a + rowBytes * rows;
  for (; a < end; a += 2 * rowBytes) {
    tileAS(out, a, s, rowBytes);
    tileAS(out + 8, a, s + 4 * rowBytes, rowBytes);
    out += 32;
  }
}

// Two rows of A by four columns of S: eight sums held in registers.
// @ts-ignore: decorator
@inline
function tileAS(out: usize, a: usize, s: usize, rowBytes: usize): void {
  let c00 = i32x4.splat(0);
  let c01 = c00;
  let c02 = c00;
  let c03 = c00;
  let c10 = c00;
  let c11 = c00;
  let c12 = c00;
  let c13 = c00;
  let s1 = s + rowBytes;
  let s2 = s1 + rowBytes;
  let s3 = s2 + rowBytes;
  for (let j: usize = 0; j < rowBytes; j += 16) {
    const a0 = v128.load(a + j);
    const a1 = v128.load(a + rowBytes + j);
    let y = v128.load(s + j);
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(a0, y));
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(a1, y));
    y = v128.load(s1 + j);
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(a0, y));
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(a1, y));
    y = v128.load(s2 + j);
    c02 = i32x4.add(c02, i32x4.dot_i16x8_s(a0, y));
    c12 = i32x4.add(c12, i32x4.dot_i16x8_s(a1, y));
    y = v128.load(s3 + j);
    c03 = i32x4.add(c03, i32x4.dot_i16x8_s(a0, y));
    c13 = i32x4.add(c13, i32x4.dot_i16x8_s(a1, y));
  }
  addTo(out, laneSum(c00));
  addTo(out + 2, laneSum(c01));
  addTo(out + 4, laneSum(c02));
  addTo(out + 6, laneSum(c03));
  addTo(out + 16, laneSum(c10));
  addTo(out + 18, laneSum(c11));
  addTo(out + 20, laneSum(c12));
  addTo(out + 22, laneSum(c13));
}

// @ts-ignore: decorator
@inline
function laneSum(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

// @ts-ignore: decorator
@inline
function addTo(address: usize, value: i32): void {
  store<u16>(address, load<u16>(address) + <u16>value);
}

// out += S' A for `rows` rows of A (an even number) at a. out: 8 x n. s: the columns of S' (8 x n) that meet those
// rows, so the address of S' plus twice the number of the first row. spread: room for 32 bytes a row.
export function mulAddSA(out: usize, a: usize, s: usize, spread: usize, n: i32, rows: i32): void {
  const rowBytes = (<usize>n) << 1;
  const half: usize = 4 * rowBytes;
  spreadColumns(spread, s, rowBytes, rows);
  for (let j: usize = 0; j < rowBytes; j += 32) {
    tileSA(out + j, a + j, spread, rowBytes, rows);
    tileSA(out + half + j, a + j, spread + 16, rowBytes, rows);
  }
}

// Lays S' column after column, each word doubled: a splat of 32 bits is a plain load for the processor, one of 16 bits
// takes a shuffle too, and one pointer serves four rows. The product gains a fifth.
function spreadColumns(spread: usize, s: usize, rowBytes: usize, rows: i32): void {
  for (let r = 0; r < 8; r++) {
    let at = spread + (r << 2);
    const end = s + ((<usize>rows) << 1);
    for (let p = s; p < end; p += 2) {
      store<u32>(at, <u32>load<u16>(p) * 0x10001);
      at += 32;
    }
    s += rowBytes;
  }
}

// Four rows of S' by sixteen columns of A: eight sums held in registers. Two rows of A at a time.
// @ts-ignore: decorator
@inline
function tileSA(out: usize, a: usize, spread: usize, rowBytes: usize, rows: i32): void {
  const out1 = out + rowBytes;
  const out2 = out1 + rowBytes;
  const out3 = out2 + rowBytes;
  let c00 = v128.load(out);
  let c01 = v128.load(out, 16);
  let c10 = v128.load(out1);
  let c11 = v128.load(out1, 16);
  let c20 = v128.load(out2);
  let c21 = v128.load(out2, 16);
  let c30 = v128.load(out3);
  let c31 = v128.load(out3, 16);
  const end = spread + ((<usize>rows) << 5);
  for (; spread < end; spread += 64) {
    let a0 = v128.load(a);
    let a1 = v128.load(a, 16);
    let s = v128.load32_splat(spread);
    c00 = i16x8.add(c00, i16x8.mul(a0, s));
    c01 = i16x8.add(c01, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 4);
    c10 = i16x8.add(c10, i16x8.mul(a0, s));
    c11 = i16x8.add(c11, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 8);
    c20 = i16x8.add(c20, i16x8.mul(a0, s));
    c21 = i16x8.add(c21, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 12);
    c30 = i16x8.add(c30, i16x8.mul(a0, s));
    c31 = i16x8.add(c31, i16x8.mul(a1, s));
    a += rowBytes;
    a0 = v128.load(a);
    a1 = v128.load(a, 16);
    s = v128.load32_splat(spread, 32);
    c00 = i16x8.add(c00, i16x8.mul(a0, s));
    c01 = i16x8.add(c01, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 36);
    c10 = i16x8.add(c10, i16x8.mul(a0, s));
    c11 = i16x8.add(c11, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 40);
    c20 = i16x8.add(c20, i16x8.mul(a0, s));
    c21 = i16x8.add(c21, i16x8.mul(a1, s));
    s = v128.load32_splat(spread, 44);
    c30 = i16x8.add(c30, i16x8.mul(a0, s));
    c31 = i16x8.add(c31, i16x8.mul(a1, s));
    a += rowBytes;
  }
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out1, c10);
  v128.store(out1, c11, 16);
  v128.store(out2, c20);
  v128.store(out2, c21, 16);
  v128.store(out3, c30);
  v128.store(out3, c31, 16);
}

// v += S' B. v: 8 x 8. s: 8 x n. b: n x 8.
export function mulAddSB(v: usize, s: usize, b: usize, n: i32): void {
  const rowBytes = (<usize>n) << 1;
  for (let r = 0; r < 8; r += 4) {
    const s1 = s + rowBytes;
    const s2 = s1 + rowBytes;
    const s3 = s2 + rowBytes;
    let c0 = v128.load(v);
    let c1 = v128.load(v, 16);
    let c2 = v128.load(v, 32);
    let c3 = v128.load(v, 48);
    for (let i: usize = 0; i < rowBytes; i += 2) {
      const y = v128.load(b + (i << 3));
      c0 = i16x8.add(c0, i16x8.mul(y, v128.load16_splat(s + i)));
      c1 = i16x8.add(c1, i16x8.mul(y, v128.load16_splat(s1 + i)));
      c2 = i16x8.add(c2, i16x8.mul(y, v128.load16_splat(s2 + i)));
      c3 = i16x8.add(c3, i16x8.mul(y, v128.load16_splat(s3 + i)));
    }
    v128.store(v, c0);
    v128.store(v, c1, 16);
    v128.store(v, c2, 32);
    v128.store(v, c3, 48);
    s += 4 * rowBytes;
    v += 64;
  }
}

// m = c - B' S. m, c: 8 x 8. b: B', 8 x n. s: S transposed, 8 x n.
export function subBS(m: usize, c: usize, b: usize, s: usize, n: i32): void {
  const rowBytes = (<usize>n) << 1;
  for (let i: usize = 0; i < 8; i++) {
    for (let k: usize = 0; k < 8; k++) {
      let sum = i32x4.splat(0);
      for (let j: usize = 0; j < rowBytes; j += 16) {
        const x = v128.load(b + i * rowBytes + j);
        const y = v128.load(s + k * rowBytes + j);
        sum = i32x4.add(sum, i32x4.dot_i16x8_s(x, y));
      }
      const at = (i * 8 + k) << 1;
      store<u16>(m + at, load<u16>(c + at) - <u16>laneSum(sum));
    }
  }
}

// Frodo.Pack: `count` words (a multiple of 8) modulo q to D bits each, most significant bit first.
export function pack(out: usize, c: usize, count: i32, D: i32): void {
  if (D == 16) swapBytes(out, c, count);
  else pack15(out, c, count);
}

// Frodo.Unpack, the inverse of pack.
export function unpack(c: usize, packed: usize, count: i32, D: i32): void {
  if (D == 16) swapBytes(c, packed, count);
  else unpack15(c, packed, count);
}

function swapBytes(out: usize, words: usize, count: i32): void {
  const end = words + ((<usize>count) << 1);
  for (; words < end; words += 16) {
    const x = v128.load(words);
    v128.store(out, v128.shuffle<u8>(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    out += 16;
  }
}

// Eight words make 15 bytes: the upper half of them in one u64, the lower 56 bits in another.
function pack15(out: usize, c: usize, count: i32): void {
  const end = c + ((<usize>count) << 1);
  for (; c < end; c += 16) {
    const c4 = word15(c + 8);
    const high = (word15(c) << 49) | (word15(c + 2) << 34) | (word15(c + 4) << 19) | (word15(c + 6) << 4) | (c4 >> 11);
    const low = (c4 << 53) | (word15(c + 10) << 38) | (word15(c + 12) << 23) | (word15(c + 14) << 8);
    store<u64>(out, bswap<u64>(high));
    const tail = bswap<u64>(low);
    store<u32>(out + 8, <u32>tail);
    store<u16>(out + 12, <u16>(tail >> 32));
    store<u8>(out + 14, <u8>(tail >> 48));
    out += 15;
  }
}

// @ts-ignore: decorator
@inline
function word15(address: usize): u64 {
  return <u64>(load<u16>(address) & 0x7fff);
}

function unpack15(c: usize, packed: usize, count: i32): void {
  const end = c + ((<usize>count) << 1);
  for (; c < end; c += 16) {
    const high = bswap<u64>(load<u64>(packed));
    const low = bswap<u64>(load<u64>(packed, 7));
    store<u16>(c, <u16>(high >> 49));
    store<u16>(c + 2, <u16>((high >> 34) & 0x7fff));
    store<u16>(c + 4, <u16>((high >> 19) & 0x7fff));
    store<u16>(c + 6, <u16>((high >> 4) & 0x7fff));
    store<u16>(c + 8, <u16>((low >> 45) & 0x7fff));
    store<u16>(c + 10, <u16>((low >> 30) & 0x7fff));
    store<u16>(c + 12, <u16>((low >> 15) & 0x7fff));
    store<u16>(c + 14, <u16>(low & 0x7fff));
    packed += 15;
  }
}

// c += Frodo.Encode(mu). c: 8 x 8. mu: 8 B bytes and one byte more that is read but not used.
export function addEncoded(c: usize, mu: usize, B: i32, D: i32): void {
  const mask = (1 << B) - 1;
  for (let i = 0; i < 64; i++) {
    const bit = i * B;
    const value = (<i32>load<u16>(mu + (bit >> 3)) >> (bit & 7)) & mask;
    addTo(c + (i << 1), value << (D - B));
  }
}

// mu = Frodo.Decode(m). m: 8 x 8. mu: 8 B bytes and one byte more that ends up 0.
export function decode(mu: usize, m: usize, B: i32, D: i32): void {
  const mask = (1 << B) - 1;
  const q1 = (1 << D) - 1;
  const half = 1 << (D - B - 1);
  memory.fill(mu, 0, 8 * B + 1);
  for (let i = 0; i < 64; i++) {
    const value = ((((<i32>load<u16>(m + (i << 1))) & q1) + half) >> (D - B)) & mask;
    const bit = i * B;
    const at = mu + (bit >> 3);
    store<u16>(at, load<u16>(at) | <u16>(value << (bit & 7)));
  }
}

// out = k where the `count` words (a multiple of 8) at x and y agree modulo q, else s. The verdict leaves no other
// trace.
export function selectIfEqual(
  out: usize,
  k: usize,
  s: usize,
  length: i32,
  x: usize,
  y: usize,
  count: i32,
  D: i32,
): void {
  let difference = i16x8.splat(0);
  const bytes = (<usize>count) << 1;
  for (let i: usize = 0; i < bytes; i += 16) {
    difference = v128.or(difference, v128.xor(v128.load(x + i), v128.load(y + i)));
  }
  const q1: i32 = (1 << D) - 1;
  difference = v128.and(difference, i16x8.splat(<i16>q1));
  const d = i64x2.extract_lane(difference, 0) | i64x2.extract_lane(difference, 1);
  const differs = <i32>((d | -d) >> 63); // 0 or -1
  for (let i = 0; i < length; i++) {
    const kept = load<u8>(k + i);
    store<u8>(out + i, <u8>(kept ^ (differs & (kept ^ load<u8>(s + i)))));
  }
}
