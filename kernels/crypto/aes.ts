// A of FrodoKEM by bitsliced AES-128 (FIPS 197), for where the platform has no AES of single blocks. Eight blocks lie
// in eight vectors, called planes: plane b holds bit b of each byte, and in a byte of it bit k is that of block k.
//
// A block of A encrypts (row, column, 0 ...), two bytes each. ShiftRows of the first round moves these four bytes to
// four different columns, and up to SubBytes of the third round no step lets one column meet another but by xor: so
// after two rounds the state is f(row) xor g(column). Both are made once a key, and every block starts at round three.
//
// Within a plane the state lies row after row, unlike FIPS 197, so that MixColumns moves whole words of 32 bits. There
// is no table, so no address depends on the key, public though seedA is.

const PLANES: usize = 8 * 16; // bytes of eight blocks
const GROUP: usize = 8 * 8; // columns of A in eight blocks of eight coefficients
const N_MAX: usize = 1344;
const KEY_LAST: usize = 10;

const STATE: usize = memory.data(PLANES, 16);
const KEYS: usize = memory.data((KEY_LAST + 1) * PLANES, 16); // planes
const ZERO: usize = memory.data(PLANES, 16); // block 0 after two rounds, planes
const ROW: usize = memory.data(PLANES, 16); // f of the row at work, planes
const COLUMNS: usize = memory.data((N_MAX / GROUP) * PLANES, 16); // g, planes
const ROWS: usize = memory.data(N_MAX * 16, 16); // f, blocks

// Where the host may lay out what goes in and comes out: nothing here allocates.
export function heapBase(): usize {
  return __heap_base;
}

// Makes f and g of an n x n matrix. n: a multiple of 16, at most 1344. seedA: 16 bytes.
export function start(seedA: usize, n: usize): void {
  expandKey(v128.load(seedA));
  spread(STATE, zero());
  twoRounds();
  memory.copy(ZERO, STATE, PLANES);
  for (let column: usize = 0; column < n; column += GROUP) startColumns(column);
  for (let row: usize = 0; row < n; row += 8) startRows(row);
}

function startColumns(column: usize): void {
  for (let k: usize = 0; k < 8; k++) put(k, indexBlock((column + 8 * k) << 16));
  transpose();
  twoRounds();
  addPlanes(COLUMNS + (column / GROUP) * PLANES, STATE, ZERO);
}

function startRows(row: usize): void {
  for (let k: usize = 0; k < 8; k++) put(k, indexBlock(row + k));
  transpose();
  twoRounds();
  transpose();
  memory.copy(ROWS + 16 * row, STATE, PLANES);
}

function indexBlock(index: usize): v128 {
  return byRows(i32x4.replace_lane(zero(), 0, <i32>index));
}

function twoRounds(): void {
  addPlanes(STATE, STATE, KEYS);
  rounds(1, 2);
}

// `rows` rows of A, 2 n bytes each, from row rowFirst on. Where n is no multiple of 64 the last eight blocks of a row
// reach into the next one, which is written after it; behind the last row up to 112 bytes are lost.
export function generate(out: usize, n: usize, rowFirst: usize, rows: usize): void {
  for (let row = rowFirst; row < rowFirst + rows; row++) {
    spread(ROW, v128.load(ROWS + 16 * row));
    for (let column: usize = 0; column < n; column += GROUP) {
      addPlanes(STATE, ROW, COLUMNS + (column / GROUP) * PLANES);
      rounds(3, KEY_LAST);
      finish();
      transpose();
      memory.copy(out + 2 * column, STATE, PLANES);
    }
    out += 2 * n;
  }
}

// FIPS 197, algorithm 2, one round key at a time. What SubBytes leaves out, 0x63 in every byte, is in the round keys:
// ShiftRows and MixColumns keep it as it is.
function expandKey(key: v128): void {
  const left = i8x16.splat(0x63);
  spread(KEYS, byRows(key));
  let constant: i32 = 1;
  for (let k: usize = 1; k <= KEY_LAST; k++) {
    spread(STATE, key);
    rounds(KEY_LAST, KEY_LAST); // SubBytes alone
    const s = xor(gather(STATE), left);
    key = xor(key, v128.shuffle<u8>(zero(), key, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
    key = xor(key, v128.shuffle<u8>(zero(), key, 0, 0, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23));
    key = xor(key, v128.shuffle<u8>(s, s, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12));
    key = xor(key, i32x4.splat(constant));
    spread(KEYS + k * PLANES, xor(k == KEY_LAST ? key : byRows(key), left));
    constant = (constant << 1) ^ ((constant >> 7) * 0x11b);
  }
}

// out = x + y, a bit at a time.
function addPlanes(out: usize, x: usize, y: usize): void {
  for (let b: usize = 0; b < PLANES; b += 16) v128.store(out + b, xor(v128.load(x + b), v128.load(y + b)));
}

// Planes of eight blocks that are all x.
function spread(planes: usize, x: v128): void {
  let bit = i8x16.splat(1);
  for (let b: usize = 0; b < PLANES; b += 16) {
    v128.store(planes + b, i8x16.eq(and(x, bit), bit));
    bit = i8x16.shl(bit, 1);
  }
}

// The block of eight that are all the same.
function gather(planes: usize): v128 {
  let bit = i8x16.splat(1);
  let x = zero();
  for (let b: usize = 0; b < PLANES; b += 16) {
    x = v128.or(x, and(v128.load(planes + b), bit));
    bit = i8x16.shl(bit, 1);
  }
  return x;
}

// Eight blocks to planes, or back: bit k of vector b against bit b of vector k, in every byte.
function transpose(): void {
  exchange(0, 1, 0x55), exchange(2, 3, 0x55), exchange(4, 5, 0x55), exchange(6, 7, 0x55);
  exchange(0, 2, 0x33), exchange(1, 3, 0x33), exchange(4, 6, 0x33), exchange(5, 7, 0x33);
  exchange(0, 4, 0x0f), exchange(1, 5, 0x0f), exchange(2, 6, 0x0f), exchange(3, 7, 0x0f);
}

// @ts-ignore: decorator
@inline
function exchange(i: usize, j: usize, bits: i8): void {
  const distance = <i32>(j - i);
  const t = and(xor(i64x2.shr_u(plane(i), distance), plane(j)), i8x16.splat(bits));
  put(j, xor(plane(j), t));
  put(i, xor(plane(i), i64x2.shl(t, distance)));
}

// Rounds `first` to `last` on STATE, but of the last round of AES only SubBytes: finish does what is left.
//
// SubBytes is the circuit of Boyar and Peralta (https://eprint.iacr.org/2009/191: 32 and, 83 xor; letters as there, x0
// and s0 the highest bit), without its four negations.
function rounds(first: usize, last: usize): void {
  let x0 = plane(7), x1 = plane(6), x2 = plane(5), x3 = plane(4);
  let x4 = plane(3), x5 = plane(2), x6 = plane(1), x7 = plane(0);
  const end = KEYS + last * PLANES;
  for (let key = KEYS + first * PLANES; key <= end; key += PLANES) {
    const y14 = xor(x3, x5), y13 = xor(x0, x6), y9 = xor(x0, x3), y8 = xor(x0, x5), t0 = xor(x1, x2);
    const y1 = xor(t0, x7), y4 = xor(y1, x3), y12 = xor(y13, y14), y2 = xor(y1, x0), y5 = xor(y1, x6);
    const y3 = xor(y5, y8), t1 = xor(x4, y12), y15 = xor(t1, x5), y20 = xor(t1, x1), y6 = xor(y15, x7);
    const y10 = xor(y15, t0), y11 = xor(y20, y9), y7 = xor(x7, y11), y17 = xor(y10, y11), y19 = xor(y10, y8);
    const y16 = xor(t0, y11), y21 = xor(y13, y16), y18 = xor(x0, y16);
    const t2 = and(y12, y15), t3 = and(y3, y6), t4 = xor(t3, t2), t5 = and(y4, x7), t6 = xor(t5, t2);
    const t7 = and(y13, y16), t8 = and(y5, y1), t9 = xor(t8, t7), t10 = and(y2, y7), t11 = xor(t10, t7);
    const t12 = and(y9, y11), t13 = and(y14, y17), t14 = xor(t13, t12), t15 = and(y8, y10), t16 = xor(t15, t12);
    const t17 = xor(t4, t14), t18 = xor(t6, t16), t19 = xor(t9, t14), t20 = xor(t11, t16), t21 = xor(t17, y20);
    const t22 = xor(t18, y19), t23 = xor(t19, y21), t24 = xor(t20, y18);
    const t25 = xor(t21, t22), t26 = and(t21, t23), t27 = xor(t24, t26), t28 = and(t25, t27), t29 = xor(t28, t22);
    const t30 = xor(t23, t24), t31 = xor(t22, t26), t32 = and(t31, t30), t33 = xor(t32, t24), t34 = xor(t23, t33);
    const t35 = xor(t27, t33), t36 = and(t24, t35), t37 = xor(t36, t34), t38 = xor(t27, t36), t39 = and(t29, t38);
    const t40 = xor(t25, t39);
    const t41 = xor(t40, t37), t42 = xor(t29, t33), t43 = xor(t29, t40), t44 = xor(t33, t37), t45 = xor(t42, t41);
    const z0 = and(t44, y15), z1 = and(t37, y6), z2 = and(t33, x7), z3 = and(t43, y16), z4 = and(t40, y1);
    const z5 = and(t29, y7), z6 = and(t42, y11), z7 = and(t45, y17), z8 = and(t41, y10), z9 = and(t44, y12);
    const z10 = and(t37, y3), z11 = and(t33, y4), z12 = and(t43, y13), z13 = and(t40, y5), z14 = and(t29, y2);
    const z15 = and(t42, y9), z16 = and(t45, y14), z17 = and(t41, y8);
    const t46 = xor(z15, z16), t47 = xor(z10, z11), t48 = xor(z5, z13), t49 = xor(z9, z10), t50 = xor(z2, z12);
    const t51 = xor(z2, z5), t52 = xor(z7, z8), t53 = xor(z0, z3), t54 = xor(z6, z7), t55 = xor(z16, z17);
    const t56 = xor(z12, t48), t57 = xor(t50, t53), t58 = xor(z4, t46), t59 = xor(z3, t54), t60 = xor(t46, t57);
    const t61 = xor(z14, t57), t62 = xor(t52, t58), t63 = xor(t49, t58), t64 = xor(z4, t59), t65 = xor(t61, t62);
    const t66 = xor(z1, t63);
    const s0 = xor(t59, t63), s6 = xor(t56, t62), s7 = xor(t48, t60), t67 = xor(t64, t65), s3 = xor(t53, t66);
    const s4 = xor(t51, t66), s5 = xor(t47, t65), s1 = xor(t64, s3), s2 = xor(t55, t67);
    if (key == KEYS + KEY_LAST * PLANES) return save(s0, s1, s2, s3, s4, s5, s6, s7);
    const q0 = shiftRows(s0), q1 = shiftRows(s1), q2 = shiftRows(s2), q3 = shiftRows(s3);
    const q4 = shiftRows(s4), q5 = shiftRows(s5), q6 = shiftRows(s6), q7 = shiftRows(s7);
    const r0 = rowBelow(q0), r1 = rowBelow(q1), r2 = rowBelow(q2), r3 = rowBelow(q3);
    const r4 = rowBelow(q4), r5 = rowBelow(q5), r6 = rowBelow(q6), r7 = rowBelow(q7);
    const d0 = xor(q0, r0), d1 = xor(q1, r1), d2 = xor(q2, r2), d3 = xor(q3, r3);
    const d4 = xor(q4, r4), d5 = xor(q5, r5), d6 = xor(q6, r6), d7 = xor(q7, r7);
    x0 = xor(d1, mixed(r0, d0, key, 7));
    x1 = xor(d2, mixed(r1, d1, key, 6));
    x2 = xor(d3, mixed(r2, d2, key, 5));
    x3 = xor(xor(d4, d0), mixed(r3, d3, key, 4));
    x4 = xor(xor(d5, d0), mixed(r4, d4, key, 3));
    x5 = xor(d6, mixed(r5, d5, key, 2));
    x6 = xor(xor(d7, d0), mixed(r6, d6, key, 1));
    x7 = xor(d0, mixed(r7, d7, key, 0));
  }
  save(x0, x1, x2, x3, x4, x5, x6, x7);
}

// Of MixColumns, where byte a above b, c, d in its column becomes 2 (a + b) + b + (c + d): all but the first term, and
// the round key. r: b. d: a + b.
// @ts-ignore: decorator
@inline
function mixed(r: v128, d: v128, key: usize, b: usize): v128 {
  return xor(xor(r, v128.shuffle<u32>(d, d, 2, 3, 0, 1)), v128.load(key + 16 * b));
}

// What the last round does behind SubBytes. Its key is in the order of FIPS 197, and so is its result.
function finish(): void {
  for (let b: usize = 0; b < 8; b++) {
    const x = plane(b);
    const ordered = v128.shuffle<u8>(x, x, 0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14);
    put(b, xor(ordered, v128.load(KEYS + KEY_LAST * PLANES + 16 * b)));
  }
}

// @ts-ignore: decorator
@inline
function shiftRows(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14);
}

// @ts-ignore: decorator
@inline
function rowBelow(x: v128): v128 {
  return v128.shuffle<u32>(x, x, 1, 2, 3, 0);
}

// From the order of FIPS 197, column after column.
// @ts-ignore: decorator
@inline
function byRows(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

// From the highest bit to the lowest.
// @ts-ignore: decorator
@inline
function save(x0: v128, x1: v128, x2: v128, x3: v128, x4: v128, x5: v128, x6: v128, x7: v128): void {
  put(7, x0), put(6, x1), put(5, x2), put(4, x3);
  put(3, x4), put(2, x5), put(1, x6), put(0, x7);
}

// @ts-ignore: decorator
@inline
function plane(b: usize): v128 {
  return v128.load(STATE + 16 * b);
}

// @ts-ignore: decorator
@inline
function put(b: usize, x: v128): void {
  v128.store(STATE + 16 * b, x);
}

// @ts-ignore: decorator
@inline
function zero(): v128 {
  return i64x2.splat(0);
}

// @ts-ignore: decorator
@inline
function xor(x: v128, y: v128): v128 {
  return v128.xor(x, y);
}

// @ts-ignore: decorator
@inline
function and(x: v128, y: v128): v128 {
  return v128.and(x, y);
}
