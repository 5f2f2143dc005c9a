// Matrix products over arrays of a workspace.

import type { Workspace } from "./workspace.ts";

/** A view of a matrix: element (i, j) is data[i * rowStride + j * columnStride]. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** Rows contiguous. */
export function rowMajor(data: Float32Array, columns: number): Matrix {
  return { data, rowStride: columns, columnStride: 1 };
}

export function transposed(matrix: Matrix): Matrix {
  return { data: matrix.data, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
}

/** c (m x n, rows contiguous) = a (m x k) * b (k x n), or c += a * b. */
export function multiply(
  workspace: Workspace,
  m: number,
  n: number,
  k: number,
  a: Matrix,
  b: Matrix,
  c: Float32Array,
  accumulate: boolean,
): void {
  workspace.run.sgemm(
    m,
    n,
    k,
    reachMatrix(workspace, m, k, a),
    a.rowStride,
    a.columnStride,
    reachMatrix(workspace, k, n, b),
    b.rowStride,
    b.columnStride,
    workspace.reach(c, m * n),
    Number(accumulate),
  );
}

function reachMatrix(workspace: Workspace, rows: number, columns: number, matrix: Matrix): number {
  return workspace.reach(matrix.data, (rows - 1) * matrix.rowStride + (columns - 1) * matrix.columnStride + 1);
}
