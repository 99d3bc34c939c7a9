/** The React hook, with its own store or a shared one. */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { createPipelineStore, initialSnapshot } from "./store.js";
import type { PipelineStore, PipelineStoreOptions, Snapshot, TokenSource } from "./types.js";

type Source = PipelineStore | PipelineStoreOptions;
type Subscribable = Pick<PipelineStore, "getSnapshot" | "subscribe">;

/** The snapshot during server rendering and hydration. */
const INITIAL_SNAPSHOT = initialSnapshot(0);

/**
 * Return the live state, or what `selector` takes from it; the component renders again when that changes by `isEqual`.
 *
 * With options the hook has its own connection while the component is mounted; a new url, namespace, path or token
 * string opens another one. A token callback may be an inline function. With a store from `createPipelineStore` any
 * number of components share one connection, which stays open.
 */
export function usePipelineStatus(source: Source): Snapshot;
export function usePipelineStatus<T>(
  source: Source,
  selector: (snapshot: Snapshot) => T,
  isEqual?: (one: T, other: T) => boolean,
): T;
export function usePipelineStatus<T = Snapshot>(
  source: Source,
  selector: (snapshot: Snapshot) => T = identity as (snapshot: Snapshot) => T,
  isEqual: (one: T, other: T) => boolean = Object.is,
): T {
  const store = useStore(source);
  const rendered = useRef<{ readonly value: T } | null>(null);
  const [select, selectOnServer] = useMemo(() => {
    const selected = memoized(selector, isEqual, rendered);
    const onServer = memoized(selector, isEqual);
    return [() => selected(store.getSnapshot()), () => onServer(INITIAL_SNAPSHOT)] as const;
  }, [store, selector, isEqual]);
  const value = useSyncExternalStore(store.subscribe, select, selectOnServer);
  useEffect(() => {
    rendered.current = { value };
  }, [value]);
  return value;
}

function identity(snapshot: Snapshot): Snapshot {
  return snapshot;
}

/** Wrap the selector so that it returns the same object for equal values, starting with the `rendered` one. */
function memoized<T>(
  selector: (snapshot: Snapshot) => T,
  isEqual: (one: T, other: T) => boolean,
  rendered?: { readonly current: { readonly value: T } | null },
): (snapshot: Snapshot) => T {
  let last: { readonly snapshot: Snapshot; readonly value: T } | null = null;
  return (snapshot) => {
    if (last?.snapshot === snapshot) return last.value;
    const value = selector(snapshot);
    const known = last ?? rendered?.current ?? null;
    last = { snapshot, value: known !== null && isEqual(known.value, value) ? known.value : value };
    return last.value;
  };
}

/** Return the given store, or one that is connected while it has subscribers. */
function useStore(source: Source): Subscribable {
  const options = "subscribe" in source ? null : source;
  const token = useRef<TokenSource | undefined>(undefined);
  useEffect(() => {
    token.current = options?.token;
  });
  const key = options === null ? source : keyOf(options);
  const make = (): { key: unknown; store: Subscribable } => ({
    key,
    store: options === null ? (source as PipelineStore) : whileSubscribed(options, token),
  });
  const [current, setCurrent] = useState(make);
  if (current.key === key) return current.store;
  const next = make();
  setCurrent(next); // React renders again before it paints
  return next.store;
}

/** Return a key that changes when a new connection is needed; a token callback may change without one. */
function keyOf({ url, namespace, path, token, notify }: PipelineStoreOptions): string {
  return JSON.stringify([url, namespace, path, typeof token === "function" ? true : [token], notify]);
}

/** Return a store that opens with its first subscriber and closes after its last one. */
function whileSubscribed(
  options: PipelineStoreOptions,
  token: { readonly current: TokenSource | undefined },
): Subscribable {
  let store: PipelineStore | null = null;
  let last = INITIAL_SNAPSHOT;
  let subscribers = 0;
  const latestToken = async (): Promise<string> => {
    const latest = token.current ?? options.token;
    return typeof latest === "function" ? latest() : (latest ?? "");
  };
  const open = (): PipelineStore =>
    createPipelineStore(typeof options.token === "function" ? { ...options, token: latestToken } : options);
  return {
    getSnapshot: () => (store === null ? last : (last = store.getSnapshot())),
    subscribe(listener) {
      subscribers += 1;
      store ??= open();
      const unsubscribe = store.subscribe(listener);
      return () => {
        unsubscribe();
        subscribers -= 1;
        // Not at once: StrictMode ends and restarts effects, which must not open a second connection.
        setTimeout(() => {
          if (subscribers > 0 || store === null) return;
          store.close();
          store = null;
          last = INITIAL_SNAPSHOT;
        });
      };
    },
  };
}
