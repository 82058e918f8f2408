/** A question that is answered at most once, and only if someone asks it. */
export function lazy<T>(compute: () => T): () => T {
  let asked = false;
  let value: T;
  return () => {
    if (!asked) {
      asked = true;
      value = compute();
    }
    return value;
  };
}
