import { isErrorCode, QflareError } from "../../src/core/error.ts";

/** For assert.throws: an error of this code whose text matches. */
export function coded(code: string, text = /./): (error: unknown) => boolean {
  if (!isErrorCode(code)) throw new TypeError(`no such code: ${code}`);
  return (error) => error instanceof QflareError && error.code === code && text.test(error.message);
}
