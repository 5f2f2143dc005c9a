// Work that runs side by side and ends whole. Behind Promise.all alone the rest goes on after the first failure, beside
// whoever tries again.

/** As Promise.all, but settles when all of it has; rejects with the failure that comes first in works. */
export async function allEnded<T>(works: readonly (T | Promise<T>)[]): Promise<T[]> {
  await Promise.allSettled(works);
  return await Promise.all(works);
}
