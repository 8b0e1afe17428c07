/** Blocks with their births, 8 bytes each, that can be sorted and compared by the million. */

/** A list of (pbn, birth). */
export class BlockList {
  /** Pairs of birth and pbn: as one 64-bit number each, the pbn is the upper half. */
  #words = new Uint32Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  pbn(index: number): number {
    return this.#words[2 * index + 1]!;
  }

  birth(index: number): number {
    return this.#words[2 * index]!;
  }

  add(pbn: number, birth: number): void {
    if (2 * this.#length === this.#words.length) {
      const larger = new Uint32Array(2 * this.#words.length);
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[2 * this.#length] = birth;
    this.#words[2 * this.#length + 1] = pbn;
    this.#length++;
  }

  /** Orders by pbn, then by birth. */
  sort(): this {
    new BigUint64Array(this.#words.buffer, 0, this.#length).sort();
    return this;
  }
}

/** Entries of both sorted lists, sorted. */
export function union(first: BlockList, second: BlockList): BlockList {
  const result = new BlockList();
  for (let index = 0; index < first.length; index++)
    result.add(first.pbn(index), first.birth(index));
  for (let index = 0; index < second.length; index++)
    result.add(second.pbn(index), second.birth(index));
  return result.sort();
}

/** Entries of the sorted first list whose pbn the sorted second one does not have. */
export function without(first: BlockList, second: BlockList): BlockList {
  const result = new BlockList();
  walkPairs(first, second, (index, other) => {
    if (index !== undefined && other === undefined)
      result.add(first.pbn(index), first.birth(index));
  });
  return result;
}

/** Entries of the sorted first list whose pbn the sorted second one has too. */
export function shared(first: BlockList, second: BlockList): BlockList {
  const result = new BlockList();
  walkPairs(first, second, (index, other) => {
    if (index !== undefined && other !== undefined)
      result.add(first.pbn(index), first.birth(index));
  });
  return result;
}

/** Goes through both sorted lists by pbn; an entry without a partner comes alone. */
export function walkPairs(
  first: BlockList,
  second: BlockList,
  visit: (firstIndex: number | undefined, secondIndex: number | undefined) => void,
): void {
  let a = 0;
  let b = 0;
  while (a < first.length || b < second.length) {
    const pbnA = a < first.length ? first.pbn(a) : Infinity;
    const pbnB = b < second.length ? second.pbn(b) : Infinity;
    visit(pbnA <= pbnB ? a : undefined, pbnB <= pbnA ? b : undefined);
    if (pbnA <= pbnB) a++;
    if (pbnB <= pbnA) b++;
  }
}
