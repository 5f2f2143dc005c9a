// The compiler's own types declare a global console and shadow that of Node; this is the part that the build uses.

export function main(
  options: readonly string[],
  io: {
    writeFile(file: string, contents: Uint8Array | string, folder: string): void;
    readFile(file: string, folder: string): string | null;
  },
): Promise<{ error: Error | null; stderr: { toString(): string } }>;
