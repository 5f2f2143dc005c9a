// package.json and its lock: what is installed is what was tried.

import type { Check } from "./house.ts";

const EXACT = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;

/** Peers are the user's to choose, so they may be ranges. */
const PINNED: readonly string[] = ["dependencies", "devDependencies", "optionalDependencies"];

export const checkVersions: Check = (house) => {
  const path = "package.json";
  const text = house.files.get(path) ?? "{}";
  const manifest: Record<string, Record<string, string>> = JSON.parse(text);
  return PINNED.flatMap((group) =>
    Object.entries(manifest[group] ?? {})
      .filter(([, version]) => !EXACT.test(version))
      .map(([name, version]) => {
        const line = text.slice(0, text.indexOf(`"${name}": "${version}"`)).split("\n").length;
        return { path, line, text: `${name}: expected an exact version, got ${version}` };
      }),
  );
};

/** A registry's address in the lock would bind every install to that registry. */
export const checkLock: Check = (house) => {
  const path = "package-lock.json";
  const lines = (house.files.get(path) ?? "").split("\n");
  return lines.flatMap((line, i) =>
    /"resolved": *"https?:/.test(line) ? [{ path, line: i + 1, text: "a registry's address: remove the member" }] : [],
  );
};
