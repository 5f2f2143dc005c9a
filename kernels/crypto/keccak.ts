// SHAKE128 and SHAKE256 (FIPS 202) on one linear memory: one sponge of 64-bit lanes, or two side by side in vectors.
//
// The same permutation serves both: T is u64 or v128. WebAssembly has no and-not for 64-bit lanes, so six lanes
// are kept complemented (Keccak implementation overview 3.2, section 2.2): five negations a round instead of 25.
// No branch and no address depends on what is absorbed.

const ROUNDS: usize = 24;
const LANES: usize = 25;
const SHAKE_SUFFIX: u8 = 0x1f;
const SHAKE128_RATE: usize = 168;

const STATE: usize = memory.data(LANES * 16, 16);
const CONSTANTS: usize = memory.data(ROUNDS * 8, 16);

fillConstants();

// Where the host may lay out what goes in and comes out: nothing here allocates.
export function heapBase(): usize {
  return __heap_base;
}

// Iota's constants from the shift register of FIPS 202, algorithm 5.
function fillConstants(): void {
  let register: u32 = 1;
  for (let round: usize = 0; round < ROUNDS; round++) {
    let constant: u64 = 0;
    for (let j: u64 = 0; j < 7; j++) {
      if (register & 1) constant |= (<u64>1) << ((1 << j) - 1);
      register = (register << 1) ^ ((register >> 7) * 0x171);
    }
    store<u64>(CONSTANTS + (round << 3), constant);
  }
}

// out: outLength bytes of SHAKE with a rate of `rate` bytes over inputLength bytes at input. Leaves no state behind.
export function shake(out: usize, outLength: usize, input: usize, inputLength: usize, rate: usize): void {
  for (; inputLength >= rate; inputLength -= rate) {
    absorb(input, rate);
    permute<u64>();
    input += rate;
  }
  absorb(input, inputLength);
  flip(inputLength, SHAKE_SUFFIX);
  flip(rate - 1, 0x80);
  for (;;) {
    permute<u64>();
    memory.copy(out, STATE, min(outLength, rate));
    if (outLength <= rate) break;
    outLength -= rate;
    out += rate;
  }
  memory.fill(STATE, 0, LANES * 8);
}

function absorb(input: usize, length: usize): void {
  let at: usize = 0;
  for (; at + 16 <= length; at += 16) v128.store(STATE + at, v128.xor(v128.load(STATE + at), v128.load(input + at)));
  for (; at < length; at++) flip(at, load<u8>(input + at));
}

function flip(at: usize, bits: u8): void {
  store<u8>(STATE + at, load<u8>(STATE + at) ^ bits);
}

// `rows` rows (an even number) of rowBytes each (a multiple of 8) from row rowFirst on. A row is SHAKE128 of its
// number, 2 bytes, and the 16 bytes of seedA.
export function shakeRows(out: usize, seedA: usize, rowFirst: u32, rows: u32, rowBytes: usize): void {
  for (let row = rowFirst; row < rowFirst + rows; row += 2) {
    absorbRows(seedA, row);
    squeezeRows(out, out + rowBytes, rowBytes);
    out += 2 * rowBytes;
  }
  memory.fill(STATE, 0, LANES * 16);
}

function absorbRows(seedA: usize, row: u64): void {
  const low = load<u64>(seedA);
  const high = load<u64>(seedA, 8);
  memory.fill(STATE, 0, LANES * 16);
  store<u64>(STATE, row | (low << 16));
  store<u64>(STATE, (row + 1) | (low << 16), 8);
  v128.store(STATE, i64x2.splat((low >> 48) | (high << 16)), 16);
  v128.store(STATE, i64x2.splat((high >> 48) | (<u64>SHAKE_SUFFIX << 16)), 32);
  v128.store(STATE, i64x2.splat((<u64>0x80) << 56), (SHAKE128_RATE / 8 - 1) * 16);
}

function squeezeRows(first: usize, second: usize, rowBytes: usize): void {
  for (;;) {
    permute<v128>();
    const length = min(rowBytes, SHAKE128_RATE);
    for (let at: usize = 0; at < length; at += 8) {
      store<u64>(first + at, load<u64>(STATE + 2 * at));
      store<u64>(second + at, load<u64>(STATE + 2 * at, 8));
    }
    if (rowBytes <= SHAKE128_RATE) return;
    rowBytes -= SHAKE128_RATE;
    first += SHAKE128_RATE;
    second += SHAKE128_RATE;
  }
}

// Keccak-f[1600]. a: lanes in the order of FIPS 202, x running first; b: the same after rho and pi. Lanes 1, 2, 8, 12,
// 17 and 20 are complemented between the first line and the last.
function permute<T>(): void {
  let a00 = lane<T>(0), a01 = not<T>(lane<T>(1)), a02 = not<T>(lane<T>(2)), a03 = lane<T>(3), a04 = lane<T>(4);
  let a05 = lane<T>(5), a06 = lane<T>(6), a07 = lane<T>(7), a08 = not<T>(lane<T>(8)), a09 = lane<T>(9);
  let a10 = lane<T>(10), a11 = lane<T>(11), a12 = not<T>(lane<T>(12)), a13 = lane<T>(13), a14 = lane<T>(14);
  let a15 = lane<T>(15), a16 = lane<T>(16), a17 = not<T>(lane<T>(17)), a18 = lane<T>(18), a19 = lane<T>(19);
  let a20 = not<T>(lane<T>(20)), a21 = lane<T>(21), a22 = lane<T>(22), a23 = lane<T>(23), a24 = lane<T>(24);
  for (let round: usize = 0; round < ROUNDS; round++) {
    const c0 = xor<T>(xor<T>(xor<T>(a00, a05), xor<T>(a10, a15)), a20);
    const c1 = xor<T>(xor<T>(xor<T>(a01, a06), xor<T>(a11, a16)), a21);
    const c2 = xor<T>(xor<T>(xor<T>(a02, a07), xor<T>(a12, a17)), a22);
    const c3 = xor<T>(xor<T>(xor<T>(a03, a08), xor<T>(a13, a18)), a23);
    const c4 = xor<T>(xor<T>(xor<T>(a04, a09), xor<T>(a14, a19)), a24);
    const d0 = xor<T>(c4, turn<T>(c1, 1));
    const d1 = xor<T>(c0, turn<T>(c2, 1));
    const d2 = xor<T>(c1, turn<T>(c3, 1));
    const d3 = xor<T>(c2, turn<T>(c4, 1));
    const d4 = xor<T>(c3, turn<T>(c0, 1));
    const b00 = xor<T>(a00, d0), b01 = turn<T>(xor<T>(a06, d1), 44), b02 = turn<T>(xor<T>(a12, d2), 43);
    const b03 = turn<T>(xor<T>(a18, d3), 21), b04 = turn<T>(xor<T>(a24, d4), 14);
    const b05 = turn<T>(xor<T>(a03, d3), 28), b06 = turn<T>(xor<T>(a09, d4), 20), b07 = turn<T>(xor<T>(a10, d0), 3);
    const b08 = turn<T>(xor<T>(a16, d1), 45), b09 = turn<T>(xor<T>(a22, d2), 61);
    const b10 = turn<T>(xor<T>(a01, d1), 1), b11 = turn<T>(xor<T>(a07, d2), 6), b12 = turn<T>(xor<T>(a13, d3), 25);
    const b13 = turn<T>(xor<T>(a19, d4), 8), b14 = turn<T>(xor<T>(a20, d0), 18);
    const b15 = turn<T>(xor<T>(a04, d4), 27), b16 = turn<T>(xor<T>(a05, d0), 36), b17 = turn<T>(xor<T>(a11, d1), 10);
    const b18 = turn<T>(xor<T>(a17, d2), 15), b19 = turn<T>(xor<T>(a23, d3), 56);
    const b20 = turn<T>(xor<T>(a02, d2), 62), b21 = turn<T>(xor<T>(a08, d3), 55), b22 = turn<T>(xor<T>(a14, d4), 39);
    const b23 = turn<T>(xor<T>(a15, d0), 41), b24 = turn<T>(xor<T>(a21, d1), 2);
    const constant = iota<T>(round);
    a00 = xor<T>(xor<T>(b00, or<T>(b01, b02)), constant);
    a01 = xor<T>(b01, or<T>(not<T>(b02), b03)); a02 = xor<T>(b02, and<T>(b03, b04));
    a03 = xor<T>(b03, or<T>(b04, b00)); a04 = xor<T>(b04, and<T>(b00, b01));
    a05 = xor<T>(b05, or<T>(b06, b07)); a06 = xor<T>(b06, and<T>(b07, b08)); a07 = xor<T>(b07, or<T>(b08, not<T>(b09)));
    a08 = xor<T>(b08, or<T>(b09, b05)); a09 = xor<T>(b09, and<T>(b05, b06));
    const n13 = not<T>(b13), n18 = not<T>(b18), n21 = not<T>(b21);
    a10 = xor<T>(b10, or<T>(b11, b12)); a11 = xor<T>(b11, and<T>(b12, b13)); a12 = xor<T>(b12, and<T>(n13, b14));
    a13 = xor<T>(n13, or<T>(b14, b10)); a14 = xor<T>(b14, and<T>(b10, b11));
    a15 = xor<T>(b15, and<T>(b16, b17)); a16 = xor<T>(b16, or<T>(b17, b18)); a17 = xor<T>(b17, or<T>(n18, b19));
    a18 = xor<T>(n18, and<T>(b19, b15)); a19 = xor<T>(b19, or<T>(b15, b16));
    a20 = xor<T>(b20, and<T>(n21, b22)); a21 = xor<T>(n21, or<T>(b22, b23)); a22 = xor<T>(b22, and<T>(b23, b24));
    a23 = xor<T>(b23, or<T>(b24, b20)); a24 = xor<T>(b24, and<T>(b20, b21));
  }
  put<T>(0, a00); put<T>(1, not<T>(a01)); put<T>(2, not<T>(a02)); put<T>(3, a03); put<T>(4, a04);
  put<T>(5, a05); put<T>(6, a06); put<T>(7, a07); put<T>(8, not<T>(a08)); put<T>(9, a09);
  put<T>(10, a10); put<T>(11, a11); put<T>(12, not<T>(a12)); put<T>(13, a13); put<T>(14, a14);
  put<T>(15, a15); put<T>(16, a16); put<T>(17, not<T>(a17)); put<T>(18, a18); put<T>(19, a19);
  put<T>(20, not<T>(a20)); put<T>(21, a21); put<T>(22, a22); put<T>(23, a23); put<T>(24, a24);
}

// @ts-ignore: decorator
@inline
function lane<T>(i: usize): T {
  return load<T>(STATE + i * sizeof<T>());
}

// @ts-ignore: decorator
@inline
function put<T>(i: usize, value: T): void {
  store<T>(STATE + i * sizeof<T>(), value);
}

// @ts-ignore: decorator
@inline
function iota<T>(round: usize): T {
  if (isVector<T>()) return v128.load64_splat(CONSTANTS + (round << 3));
  return load<u64>(CONSTANTS + (round << 3));
}

// @ts-ignore: decorator
@inline
function turn<T>(x: T, bits: i32): T {
  if (isVector<T>()) return v128.or(i64x2.shl(x, bits), i64x2.shr_u(x, 64 - bits));
  return rotl<u64>(x, bits);
}

// @ts-ignore: decorator
@inline
function xor<T>(x: T, y: T): T {
  if (isVector<T>()) return v128.xor(x, y);
  return x ^ y;
}

// @ts-ignore: decorator
@inline
function and<T>(x: T, y: T): T {
  if (isVector<T>()) return v128.and(x, y);
  return x & y;
}

// @ts-ignore: decorator
@inline
function or<T>(x: T, y: T): T {
  if (isVector<T>()) return v128.or(x, y);
  return x | y;
}

// @ts-ignore: decorator
@inline
function not<T>(x: T): T {
  if (isVector<T>()) return v128.not(x);
  return ~x;
}
