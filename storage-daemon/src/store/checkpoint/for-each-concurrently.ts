/** Bounded concurrency for work that opening and checkpoints do in bulk. */
/** Requests under way at once while opening, unless said otherwise: what a drive's queues take well. */
const requestsMax = 128;

/** Does something for each of many, a bounded number at once; rejects with the first failure. */
export async function forEachConcurrently<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
  countMax = requestsMax,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(countMax, items.length) }, worker));
}
