/** Collects clean-ups and runs them in reverse. Whoever creates a resource gives it to a scope. */
export class Scope implements AsyncDisposable {
  #cleanups: (() => unknown)[] = [];

  /** Takes ownership of RESOURCE and hands it back. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : (resource as Disposable)[Symbol.dispose](),
    );
    return resource;
  }

  /** Runs CLEANUP when the scope ends; later ones run first. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /** Hands every clean-up over to a new scope: the last call of a factory that succeeded. */
  move(): Scope {
    const moved = new Scope();
    [moved.#cleanups, this.#cleanups] = [this.#cleanups, []];
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "several clean-ups failed");
  }
}
